"""Lists and objects that a table holds as text: JSON, or as Python prints them."""

from __future__ import annotations

import ast
import json
from typing import Any

__all__ = ["parsed_cell"]

_LONGEST = 1 << 20


def parsed_cell(text: str) -> Any:
    """Return the list or object that a text holds; None for any other text."""
    if text.lstrip()[:1] not in ("[", "{") or len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        # pandas writes a column of lists this way. Literals only: nothing is run.
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, list | dict) else None
