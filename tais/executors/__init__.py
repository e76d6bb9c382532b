"""Where arms run: local processes."""
