"""A learned choice at each root: K, L1, L2 of a delayed tree, and the algorithm (arXiv 2602.16994)."""
