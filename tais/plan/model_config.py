"""What the config.json of a local model says of its size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tais.manifest.model import Arm

__all__ = ["figures"]


def figures(arm: Arm, keys: Sequence[str]) -> list[int] | None:
    """Return the whole numbers that stand under any of these keys; None where the model does not lie here."""
    file = Path(arm.model) / "config.json" if arm.model else None
    try:
        config = json.loads(file.read_bytes()) if file is not None else None
    except (OSError, ValueError):
        config = None
    if not isinstance(config, Mapping):
        return None
    nested = config.get("text_config")
    places = [config, nested] if isinstance(nested, Mapping) else [config]
    return [found for place in places for key in keys if isinstance(found := place.get(key), int)]
