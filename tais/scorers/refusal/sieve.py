"""What finds nothing in an answer, asked of RE2 for a whole column of answers at once.

The forms of a language are some hundred patterns of :mod:`re`, most of which find nothing in most answers.
Each of their tables is one expression of RE2 here, which finds something wherever the table does, and now and
then where it does not: what must stand before or behind a match is left out, and a limited number of repeats
is any number. What RE2 does not find need not be looked for. RE2 reads a text once, whatever the number of
alternatives (through pyarrow; Cox 2010, "Regular Expression Matching in the Wild").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tais.scorers.refusal.forms.base import NOTHING, Finds, Forms, Gated, Sieved

__all__ = ["Sieve", "loosened"]

_TABLES: Final = ("declines", "disapproves", "warns", "premise")
_IN_OPENING: Final = ("idioms", "soft")
_IN_WINDOW: Final = ("pivot", "turns", "lets", "how", "offers", "redirects", "instead", "safe")
_FIELDS: Final = (*_TABLES, *_IN_OPENING, *_IN_WINDOW, "steps")

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[=!]|\{\d*,\d*\}|.", re.DOTALL)
_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
# What `re` takes for letters, digits and spaces of all scripts, RE2 takes for those of ASCII.
_WIDER = {
    r"\w": r"\w\x{80}-\x{10ffff}",
    r"\s": r"\s\x0b\x1c-\x1f\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}",
    r"\d": r"\p{Nd}",
}
_NEVER = r"[^\x00-\x{10ffff}]"
_LONE = re.compile("[\ud800-\udfff]")


def loosened(pattern: re.Pattern[str]) -> str:
    """Return an expression of RE2 that finds something in every text in which a pattern does.

    Anchors are kept: it holds for searches of a whole text and, without anchors, of a part.
    """
    said = []
    inside = 0
    for token in _TOKEN.findall(pattern.pattern):
        if inside:
            inside += token.startswith("(") - (token == ")")
        elif token in _LOOKS:
            inside = 1
        elif token[0] == "{":
            said.append("*")
        elif token != r"\b":
            said.append(_wider(token))
    flags = "".join(
        sign for sign, flag in (("i", re.IGNORECASE), ("m", re.MULTILINE)) if pattern.flags & flag
    )
    return f"(?{flags}:{''.join(said)})" if flags else f"(?:{''.join(said)})"


def _wider(token: str) -> str:
    if token in _WIDER:
        return f"[{_WIDER[token]}]"
    if token[0] == "[" and not token.startswith("[^"):
        for narrow, wide in _WIDER.items():
            token = token.replace(narrow, wide)
    return token


class Sieve:
    """The tables of one language.

    A set of tables is a number here, one bit for each of `_FIELDS`.
    """

    def __init__(self, forms: Forms) -> None:
        # An empty table finds nothing, which an empty expression would everywhere.
        self._asked = {
            name: "|".join(map(loosened, _patterns(getattr(forms, name)))) or _NEVER for name in _FIELDS
        }
        self._forms: dict[int, Forms] = {0: forms}

    def openings(self, openings: Sequence[str]) -> list[int]:
        """Return which tables find nothing in each of some openings."""
        column = _column(openings)
        absent = self._absent(dict.fromkeys((*_TABLES, *_IN_OPENING), column))
        # What is soft is looked for where idioms have been taken out.
        absent[absent & _bit("idioms") == 0] &= ~_bit("soft")
        return _listed(absent)

    def windows(self, windows: Sequence[str], raws: Sequence[str]) -> list[int]:
        """Return which patterns find nothing in each of some windows, as they are read and as they stand."""
        columns = dict.fromkeys(_IN_WINDOW, _column(windows)) | {"steps": _column(raws)}
        return _listed(self._absent(columns))

    def _absent(self, columns: Mapping[str, pa.Array]) -> NDArray[np.int64]:
        absent = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
        for name, column in columns.items():
            found = pc.match_substring_regex(column, self._asked[name]).to_numpy(zero_copy_only=False)
            absent[~found] |= _bit(name)
        return absent

    def is_empty(self, absent: int) -> bool:
        """Whether no table is left that an opening is asked for."""
        return absent & _ALL_TABLES == _ALL_TABLES

    def without(self, absent: int) -> Forms:
        """Return the forms without some tables."""
        forms = self._forms.get(absent)
        if forms is None:
            out: dict[str, Any] = {
                name: () if name in _TABLES else NOTHING for name in _FIELDS if absent & _bit(name)
            }
            if "pivot" in out:
                out["pivots"] = ()
            forms = self._forms[absent] = replace(self._forms[0], **out)
        return forms


def _patterns(table: Gated | Finds) -> tuple[re.Pattern[str], ...]:
    if isinstance(table, tuple):
        return tuple(pattern for _, pattern in table)
    return (table.pattern if isinstance(table, Sieved) else table,)


def _bit(name: str) -> int:
    return 1 << _FIELDS.index(name)


_ALL_TABLES = sum(map(_bit, _TABLES))


def _listed(numbers: NDArray[np.int64]) -> list[int]:
    listed: list[int] = numbers.tolist()
    return listed


def _column(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Halves of pairs, which Arrow refuses, are neither letters nor spaces, and stand in no pattern.
        return pa.array([_LONE.sub("\ufffd", text) for text in texts], pa.string())
