"""A study: the manifests of one folder, run one after the other, and one report over all of them."""
