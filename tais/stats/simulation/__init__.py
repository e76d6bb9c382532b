"""Operating characteristics by simulation."""
