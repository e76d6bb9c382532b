"""All repairs at once, for an arm that must be sound whatever its sampling."""

from __future__ import annotations

from tais.lab.repairs import drafted_temperature, min_tokens_reached

__all__ = ["Extension"]


class Extension(drafted_temperature.Extension, min_tokens_reached.Extension):
    """An arm names it (``worker_extension_cls``), which imports the repairs."""
