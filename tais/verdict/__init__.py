"""Evidence in, report out. Pure: no file, no scorer, no engine."""
