"""An engine's resolved configuration as plain data, and what differs between two of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

__all__ = ["plain_mapping", "to_plain"]

_DEPTH = 8
_TEXT = 400


def plain_mapping(value: object) -> dict[str, object]:
    """Return a dataclass or mapping as JSON-ready data."""
    plain = to_plain(value)
    assert isinstance(plain, dict)
    return plain


def to_plain(value: object, depth: int = 0) -> object:
    """Return dataclasses, mappings and sequences as JSON-ready data; anything else as its text.

    Memory addresses are cut out of texts, so that equal objects give equal texts in two processes.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if depth < _DEPTH:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = (field.name for field in dataclasses.fields(value))
            return {name: to_plain(getattr(value, name, None), depth + 1) for name in names}
        if isinstance(value, Mapping):
            return {str(key): to_plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, set | frozenset):
            return sorted((to_plain(item, depth + 1) for item in value), key=str)
        if isinstance(value, list | tuple):
            return [to_plain(item, depth + 1) for item in value]
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))[:_TEXT]
