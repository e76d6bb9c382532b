"""Exact match of a final answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.scorers.base import EMPTY, Exchange, Score

__all__ = ["ExactScorer"]


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
