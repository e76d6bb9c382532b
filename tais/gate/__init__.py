"""A signed run and a policy in, an exit code out."""
