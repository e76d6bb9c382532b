"""Whether sampled tokens follow the law that the target gives them."""
