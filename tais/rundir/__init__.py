"""The run directory: every file in it has one module here that writes and reads it."""
