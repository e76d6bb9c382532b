"""What the user writes, read and checked."""
