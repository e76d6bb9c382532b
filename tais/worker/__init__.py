"""The process that asks an engine and stores what it says. It neither scores nor decides."""
