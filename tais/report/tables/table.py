"""A table of words: what every view of a report can show."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WordTable"]


@dataclass(frozen=True, slots=True)
class WordTable:
    """One table of words."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    """A list of items, for whoever looks for them."""
