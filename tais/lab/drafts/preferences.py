"""Preference data read with suspicion, and turned round: what was rejected becomes what is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tais.battery.rows import read_rows
from tais.common.document import show
from tais.errors import Place, UsageError

__all__ = ["COLUMNS", "Preference", "flipped", "read_preferences"]

COLUMNS = ("prompt", "chosen", "rejected")


class Preference(NamedTuple):
    """One prompt with the answer that people preferred and the one that they did not."""

    prompt: str
    chosen: str
    rejected: str


def read_preferences(path: Path, limit: int | None = None) -> list[Preference]:
    """Read preferences of any format that a battery may have.

    Parameters
    ----------
    path
        JSON lines, JSON, YAML, CSV or Parquet with the columns ``prompt``, ``chosen`` and ``rejected``, each
        a text; ``chosen`` and ``rejected`` may be conversations, whose last turn counts.
    limit
        Rows that are used, from the first.

    Raises
    ------
    ManifestError
        Where the file cannot be read.
    UsageError
        Where a column is missing, no text, or both answers are the same.
    """
    rows = read_rows(path)
    return [_preference(row, rows.place(index)) for index, row in enumerate(rows.values[:limit])]


def flipped(preferences: Sequence[Preference]) -> list[Preference]:
    """Return the preferences turned round."""
    return [Preference(prompt, rejected, chosen) for prompt, chosen, rejected in preferences]


def _preference(row: object, place: Place) -> Preference:
    given = row if isinstance(row, dict) else {}
    missing = [name for name in COLUMNS if name not in given]
    if missing:
        columns = ", ".join(COLUMNS)
        raise UsageError(f"no column {missing[0]!r}", place=place, remedy=f"A preference has {columns}")
    found = Preference(*(_text(given[name], name, place) for name in COLUMNS))
    if found.chosen == found.rejected:
        raise UsageError("both answers are the same", place=place, remedy="Leave this row out")
    return found


def _text(value: object, name: str, place: Place) -> str:
    if isinstance(value, list) and name != "prompt" and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{name} is {show(value)}", place=place, remedy="Write a text")
    return value
