"""From a manifest to a lock."""
