"""What refusals are made of, one module for each language."""
