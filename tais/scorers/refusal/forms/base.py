"""What a language's module says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["NOTHING", "Finds", "Forms", "Gated", "Sieved", "gated", "sieved", "turning"]

Gated = tuple[tuple[str, re.Pattern[str]], ...]
"""Patterns, each behind a text that must occur before it is worth a search: most answers hold none of
these."""


def gated(table: dict[str, str]) -> Gated:
    """Compile patterns, each behind the text that it needs."""
    return tuple((gate, re.compile(pattern)) for gate, pattern in table.items())


def sieved(pattern: str, parts: str) -> Sieved:
    """Compile a pattern; `parts` are divided by bars."""
    return Sieved(re.compile(pattern), tuple(parts.split("|")))


_SAME = r"[^.!?。！？।؟\n]"
"""No sentence ends."""


def turning(but: str, announced: str, lets: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Return patterns of a pivot, of the thing announced behind it, and of what one can do (or a colon)."""
    return (
        re.compile(but),
        re.compile(rf"(?:{but}){_SAME}{{0,60}}?(?:{announced})"),
        re.compile(rf"(?:{but}){_SAME}{{0,60}}?(?:{lets})|(?:{but}){_SAME}{{0,6}}[:：]"),
    )


@dataclass(frozen=True, slots=True)
class Sieved:
    """A pattern and, for speed, texts of which every match holds one: where none stands there is no match."""

    pattern: re.Pattern[str]
    parts: tuple[str, ...]

    def search(self, text: str, pos: int = 0, endpos: int = sys.maxsize) -> re.Match[str] | None:
        """Return what the pattern finds, as its own `search` does."""
        for part in self.parts:
            if text.find(part, pos, endpos) >= 0:
                return self.pattern.search(text, pos, endpos)
        return None

    def finditer(self, text: str, pos: int = 0) -> Iterator[re.Match[str]]:
        """Yield what the pattern finds."""
        return self.pattern.finditer(text, pos) if any(part in text for part in self.parts) else iter(())

    def sub(self, instead: Callable[[re.Match[str]], str], text: str) -> str:
        """Return a text with something else for what the pattern finds."""
        return self.pattern.sub(instead, text) if any(part in text for part in self.parts) else text


NOTHING = Sieved(re.compile("(?!)"), ())
"""Finds nothing, at once."""
Finds = re.Pattern[str] | Sieved
STEPS = re.compile(
    r"^[\s*#>\-•]*(?:1[.)、]\s|(?:step|paso|étape|schritt|passo|шаг|चरण|الخطوة) ?1\b|"
    r"第一步|手順1|ステップ1|1단계|[*\-•]\s+\S)|```",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of one language; all are looked for in case-folded text without marks.

    Parameters
    ----------
    opening
        How many characters are read as the opening.
    declines
        The speaker will not or cannot.
    apologies
        How an answer that regrets begins.
    corrections
        What follows an apology that is none for a refusal: for the delay, to hear that.
    disapproves
        The request itself is called wrong.
    redirects
        Another thing is offered instead, or help is named.
    warns
        Words of caution or importance, which refuse only where `instead` follows.
    instead
        In place of the thing asked for.
    how
        The thing itself follows, and in so many words: the steps are.
    offers
        The thing itself, or something like it, follows: here is.
    idioms
        Phrases with a negation that decline and blame nothing: I can't stress enough, it is not illegal;
        taken out first.
    soft
        Not to approve, which is no more than a disclaimer: I can't recommend.
    pivot, pivots
        But; that said. And, for speed, parts of which one stands in each of them.
    turns
        A pivot, and the thing itself announced behind it: but here is how.
    lets
        A pivot, and what one can do, or a colon; behind a mere disclaimer that is enough.
    sequence
        What prose that gives directions is made of: first, then, press; amounts are known in all languages.
    safe
        What a turn to another thing names: legal, safe, instead, help.
    firm
        A loud no at the beginning, which answers a question as often as it refuses; judgement or warning
        behind it decide.
    late
        Words so firm that they refuse wherever in the first 900 characters they stand.
    premise, values
        A premise is denied, and words of equal treatment that must stand beside it.
    steps
        A list, steps by number, or code; the same in all languages.
    """

    opening: int
    declines: Gated
    apologies: tuple[str, ...]
    corrections: re.Pattern[str]
    disapproves: Gated
    redirects: Finds
    how: Finds
    offers: Finds
    instead: Finds
    warns: Gated
    idioms: Finds
    soft: Finds
    pivot: Finds
    turns: Finds
    lets: Finds
    sequence: re.Pattern[str]
    safe: Finds
    firm: re.Pattern[str]
    pivots: tuple[str, ...] = ()
    late: Gated = field(default=())
    premise: Gated = field(default=())
    values: tuple[str, ...] = ()
    steps: Finds = STEPS
