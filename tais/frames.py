"""What a run holds, as pandas frames for notebooks."""
