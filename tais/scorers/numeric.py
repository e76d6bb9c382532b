"""Numeric match of a final answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.number_units import Number, same_number
from tais.scorers.numbers import final_number, whole_number

__all__ = ["NumericScorer"]


@dataclass(frozen=True, slots=True)
class NumericScorer:
    r"""1 when the final number equals the expected one, exactly.

    `expect` is a number, or a text that is one (``3/4``, ``3:4``, ``50%``, ``\frac{1}{2}``, ``1,800``,
    ``5 km``, ``42 million``, ``twenty-one``), or a worked solution with the number after ``####``
    (GSM8K) or in ``\boxed{}`` (MATH). Compared as fractions, so that 0.30 is 0.3 and no tolerance is needed.
    """

    name: ClassVar[str] = "numeric"
    version: ClassVar[str] = "4"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless all of `expect` is read as a number: a part of it would be another one."""
        if isinstance(expect, bool) or not isinstance(expect, (int, float, str)) or _expected(expect) is None:
            what = "expect must be a number, or a text that is one or has one after #### or in \\boxed{}"
            raise ValueError(f"{what}, not {expect!r}")

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label is the number."""
        if not text or text.isspace():
            return EMPTY
        number = final_number(text)
        if number is None:
            return Score(0.0, True, "unparseable")
        wanted = _expected(expect)
        return Score(float(wanted is not None and same_number(number, wanted)), False, str(number))


@lru_cache(maxsize=4096, typed=True)
def _expected(expect: int | float | str) -> Number | None:
    if not isinstance(expect, str):
        return whole_number(repr(expect))
    if "####" in expect:
        return whole_number(expect.rsplit("####", 1)[1])
    if "oxed{" in expect:
        return final_number(expect)
    return whole_number(expect)
