"""Repairs of engines, for exhibits of the museum that no release has put right: these are replayed."""
