"""Whether an answer is text at all: for prompts whose right answer nobody knows, only its garbage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from tais.scorers.answer import Reads
from tais.scorers.base import EMPTY, Exchange, Score

__all__ = ["SaneScorer", "ends_in_loop"]

_GARBAGE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_LONGEST_UNIT = 64
_LEAST_REPEATS = 6
_SHORTEST_LOOP = 48


def ends_in_loop(text: str) -> bool:
    """Whether the end of a text repeats one unit of up to 64 characters at least six times."""
    tail = text[-_LONGEST_UNIT * _LEAST_REPEATS :]
    # The last character stands one unit earlier too, so only its other places can begin a unit.
    place = tail.rfind(tail[-1:], 0, -1) if len(tail) > 1 else -1
    while place >= 0 and len(tail) - 1 - place <= _LONGEST_UNIT:
        unit = len(tail) - 1 - place
        length = max(unit * _LEAST_REPEATS, _SHORTEST_LOOP)
        if len(tail) >= length and tail[-length:-unit] == tail[unit - length :]:
            return True
        place = tail.rfind(tail[-1], 0, place)
    return False


@dataclass(frozen=True, slots=True)
class SaneScorer:
    """1 when an answer is neither garbled nor a loop; `expect` is null.

    All that was said is read, thinking and calls of tools too: garbage can stand anywhere.

    Garbled: U+FFFD, which decoders write for bytes that are no text, or a control character other than
    white space. Corrupted caches show as exactly these (see the list of real bugs in the documentation).

    Parameters
    ----------
    loops
        Whether a loop counts as wrong. Small models loop on their own, in both arms alike.
    """

    loops: bool = True

    name: ClassVar[str] = "sane"
    version: ClassVar[str] = "2"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "none"
    reads: ClassVar[Reads] = "all"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is null."""
        if expect is not None:
            raise ValueError(f"expect must be null, not {expect!r}")

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what is wrong with it."""
        if not text or text.isspace():
            return EMPTY
        if _GARBAGE.search(text):
            return Score(0.0, False, "garbled")
        if self.loops and ends_in_loop(text):
            return Score(0.0, False, "loop")
        return Score(1.0, False, "sane")
