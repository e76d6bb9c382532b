"""A read file as plain data that still knows its lines, and the words that errors about it share."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tais.errors import Place

__all__ = ["Document", "Path_", "dotted", "show", "suggest"]

Path_ = tuple[str | int, ...]
"""Keys and 0-based indices that lead from the root of a document to one of its values."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, and on which line.

    Parameters
    ----------
    data
        Mappings, lists, strings, numbers, booleans and None.
    lines
        1-based line of every value, by path; of its key where it stands in a mapping.
    file
        Name of the file, as the user wrote it.
    """

    data: Any
    lines: Mapping[Path_, int]
    file: str | None = None

    def line(self, path: Path_ = ()) -> int | None:
        """Return the line of the value at `path`, or of the nearest one around it.

        A key that is missing has no line of its own; the mapping that lacks it has.
        """
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def place(self, path: Path_ = ()) -> Place:
        """Return file, line and dotted key of the value at `path`."""
        return Place(self.file, self.line(path), dotted(path) or None)


def dotted(path: Path_) -> str:
    """Write a path as errors show it: ``contrasts[0].role``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_clip(part, 60)}" for part in path)
    return text.removeprefix(".")


def show(value: object) -> str:
    """Write a value for an error message: short and on one line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else repr(f"{value[:57]}...")
    return _clip(json.dumps(value), 60)


def suggest(word: str, known: Iterable[str], noun: str = "Known") -> str:
    """Return the remedy for a word that is not known: the nearest known one, else all of them."""
    names = sorted(known)
    # Cut first: the ratio of two strings costs time in proportion to the product of their lengths.
    near = difflib.get_close_matches(word[:100], names, n=1) or _related(word[:100], names)
    if near:
        return f"Did you mean {show(near[0])}?"
    listed = ", ".join(_clip(name, 60) for name in names[:20]) or "none"
    return f"{noun}: {listed}{' ...' if len(names) > 20 else ''}"


def _related(word: str, names: list[str]) -> list[str]:
    """Return the one name of the same letters in another order, or of which the word is a part."""
    letters = [name for name in names if sorted(name) == sorted(word)]
    parts = [name for name in names if word in name.split("_")]
    return next((found for found in (letters, parts) if len(found) == 1), [])


def _clip(text: str, length: int) -> str:
    flat = text if text.isprintable() else repr(text)[1:-1]
    return flat if len(flat) <= length else f"{flat[: length - 3]}..."
