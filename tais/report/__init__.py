"""The frozen Report and its renderers."""
