"""Statistics for matched pairs."""
