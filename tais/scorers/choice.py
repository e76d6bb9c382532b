r"""Multiple choice by the letter that an answer names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.choice_reading import Letters, read_letters

__all__ = ["ChoiceScorer", "parse_letter", "parse_letters"]

_LETTERS = "ABCDEFGHIJ"
# What labels may be: letters to J, which nearly all questions have, all letters, or digits.
_LABELS = (_LETTERS, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789")


def parse_letter(text: str, options: Mapping[str, str] | None = None) -> str | None:
    """Return the one letter that an answer names, upper case, or None when it names none or several."""
    letters = parse_letters(text, options)
    return min(letters) if letters is not None and len(letters) == 1 else None


def parse_letters(text: str, options: Mapping[str, str] | None = None) -> Letters | None:
    """Return the letters that an answer names in one statement; see :func:`read_letters`."""
    return read_letters(text, _LETTERS, options)


@dataclass(frozen=True, slots=True)
class ChoiceScorer:
    """1 when the parsed letter is the expected one.

    `expect` is a letter, or ``{"letter": "B", "options": {"A": "...", "B": "..."}}`` so that an answer that
    repeats an option in full counts too. In both, a list of letters stands for several right ones.

    Parameters
    ----------
    letters
        Those of the questions, A to Z or 0 to 9: another one is no choice.
    several
        Of several right letters an answer must name ``all`` and no other, or ``any`` of them.
    """

    letters: str = _LETTERS
    several: Literal["all", "any"] = "all"

    name: ClassVar[str] = "choice"
    version: ClassVar[str] = "3"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def __post_init__(self) -> None:
        if not self.letters or not any(set(self.letters) <= set(labels) for labels in _LABELS):
            raise ValueError(f"letters must be some of A to Z, or of 0 to 9, not {self.letters!r}")
        if self.several not in ("all", "any"):
            raise ValueError(f"several must be all or any, not {self.several!r}")

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` holds one of the letters, or several."""
        options: object = self.letters
        if isinstance(expect, Mapping):
            options, said = expect.get("options"), expect.get("letter")
            if not isinstance(options, Mapping) or not set(_listed(said)) <= set(options):
                raise ValueError(f"expect needs a letter and its options, not {expect!r}")
            expect = said
        letters = _listed(expect)
        if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(self.letters):
            raise ValueError(f"expect must be one of the letters {self.letters}, not {expect!r}")

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        """Score one answer; the label is the parsed letter."""
        if not text or text.isspace():
            return EMPTY
        options, right = None, expect
        if not isinstance(expect, str) and isinstance(expect, Mapping):
            options, right = expect["options"], expect["letter"]
        letters = read_letters(text, _labels(self.letters), options)
        if letters is None or any(letter not in self.letters for letter in letters):
            return Score(0.0, True, "unparseable")
        if isinstance(right, str):
            # Two letters are no choice where one is right.
            (letter,) = letters if len(letters) == 1 else ("",)
            return Score(float(letter == right), not letter, letter or "unparseable")
        wanted = frozenset(_listed(right))
        fits = letters == wanted if self.several == "all" else letters <= wanted
        return Score(float(fits), False, ",".join(sorted(letters)))


@lru_cache(maxsize=64)
def _labels(letters: str) -> str:
    return next(labels for labels in _LABELS if set(letters) <= set(labels))


def _listed(expect: object) -> list[str]:
    """Return expected letters as a list; empty for what is none."""
    letters = [one for one in (expect if isinstance(expect, list) else [expect]) if isinstance(one, str)]
    complete = len(letters) == (len(expect) if isinstance(expect, list) else 1)
    return letters if complete and all(len(one) == 1 for one in letters) else []
