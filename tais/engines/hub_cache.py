"""Files of a model: of its folder, or of a hub's cache on this machine; none is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["model_config", "read_model_file", "weight_bytes"]

_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")


def read_model_file(model: str, file: str, revision: str | None) -> str | None:
    """Return a text file of a model; None where it is not at hand."""
    folder = Path(model)
    if folder.is_dir():
        return _text(folder / file)
    found = _cached(model, file, revision)
    return None if found is None else _text(found)


def model_config(model: str, revision: str | None = None) -> dict[str, Any]:
    """Return ``config.json`` of a model; empty where it is not at hand or is none."""
    try:
        found = json.loads(read_model_file(model, "config.json", revision) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def weight_bytes(model: str, revision: str | None = None) -> int:
    """Return the size of a model's weights as far as they are at hand."""
    folder = Path(model)
    if not folder.is_dir():
        config = _cached(model, "config.json", revision)
        if config is None:
            return 0
        folder = config.parent
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for pattern in _WEIGHTS:
        for path in folder.glob(pattern):
            try:
                yield path.stat().st_size
            except OSError:
                continue


def _cached(name: str, file: str, revision: str | None) -> Path | None:
    try:
        # Brings a web client, and is there where models of a hub are run.
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except ValueError:  # not the name of a repository
        return None
    return Path(found) if isinstance(found, str) else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
