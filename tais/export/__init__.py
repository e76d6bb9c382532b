"""What a run holds, written for other tools."""
