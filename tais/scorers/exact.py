"""Exact and numeric match of a final answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Literal

from tais.scorers.base import EMPTY, Exchange, Score

__all__ = ["ExactScorer", "NumericScorer", "final_number"]

_NUMBER = r"[-+−]?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
# GSM8K's own marker, LaTeX boxes and worded conclusions, in this order; the last of a kind decides.
# Each stands beside a text that it holds, which is found faster than the pattern.
_MARKED = (
    ("####", re.compile(rf"#### *({_NUMBER})")),
    ("oxed{", re.compile(rf"oxed\{{\s{{0,4}}\\?\$?\s{{0,4}}({_NUMBER})")),
    ("nswer", re.compile(rf"nswer(?: is| =|:|=)?:?\*{{0,2}}\s{{0,4}}[*$\\(]{{0,4}}\s{{0,4}}({_NUMBER})")),
)
_LAST = re.compile(_NUMBER)
_DIGIT = re.compile(r"\d")
# All that a number is written with, so that none reaches beyond such a run.
_RUN = re.compile(r"[-+−$\d,.]*")
_MAX_DIGITS = 60


@dataclass(frozen=True, slots=True)
class ExactScorer:
    """1 when the answer, stripped, is the expected text.

    `expect` is a text, or a list of texts any of which will do.

    Parameters
    ----------
    ignore_case
        Compare casefolded.
    first_line
        Compare the first line that is not blank only.
    """

    ignore_case: bool = False
    first_line: bool = False

    name: ClassVar[str] = "exact"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is a text or a list of texts."""
        texts = expect if isinstance(expect, list) else [expect]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"expect must be a text or a list of texts, not {expect!r}")

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer."""
        if not text or text.isspace():
            return EMPTY
        wanted = {self._plain(one) for one in (expect if isinstance(expect, list) else [expect])}
        matches = self._plain(text) in wanted
        return Score(float(matches), False, "match" if matches else "other")

    def _plain(self, text: str) -> str:
        text = text.strip()
        if self.first_line:
            text = text.partition("\n")[0].rstrip()
        return text.casefold() if self.ignore_case else text


def final_number(text: str) -> Fraction | None:
    r"""Return the number that an answer ends in, or None without one.

    A number after ``####``, in ``\boxed{}`` or after *answer* goes before the last number of the text.
    """
    for mark, pattern in _MARKED:
        if mark in text and (found := pattern.findall(text)):
            return _as_number(found[-1])
    # Every digit is part of a number, and the last one of the last number: looked for from the end.
    backwards = text[::-1]
    last = _DIGIT.search(backwards)
    if last is None:
        return None
    run = _RUN.match(backwards, last.start())
    assert run is not None, "the pattern matches nothing, too"
    return _as_number(_LAST.findall(run[0][::-1])[-1])


def _as_number(text: str) -> Fraction | None:
    plain = text.replace(",", "").replace("$", "").replace("−", "-")
    if len(plain) > _MAX_DIGITS:
        return None
    # Reading a fraction from text takes several times as long.
    return Fraction(plain) if "." in plain else Fraction(int(plain))


@dataclass(frozen=True, slots=True)
class NumericScorer:
    """1 when the final number equals the expected one, exactly.

    `expect` is a number, or a text that holds one (GSM8K's ``... #### 18`` included). Compared as fractions,
    so that 0.30 is 0.3 and no tolerance is needed.
    """

    name: ClassVar[str] = "numeric"
    version: ClassVar[str] = "2"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` holds a number."""
        if isinstance(expect, bool) or not isinstance(expect, (int, float, str)) or _expected(expect) is None:
            raise ValueError(f"expect must be a number or a text that ends in one, not {expect!r}")

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label is the number."""
        if not text or text.isspace():
            return EMPTY
        number = final_number(text)
        if number is None:
            return Score(0.0, True, "unparseable")
        return Score(float(number == _expected(expect)), False, str(number))


@lru_cache(maxsize=4096, typed=True)
def _expected(expect: int | float | str) -> Fraction | None:
    return final_number(expect if isinstance(expect, str) else repr(expect))
