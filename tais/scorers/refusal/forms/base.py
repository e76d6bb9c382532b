"""What a language's module says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Forms", "Gated", "gated"]

Gated = tuple[tuple[str, re.Pattern[str]], ...]
"""Patterns, each behind a text that must occur before it is worth a search: most answers hold none of
these."""


def gated(table: dict[str, str]) -> Gated:
    """Compile patterns, each behind the text that it needs."""
    return tuple((gate, re.compile(pattern)) for gate, pattern in table.items())


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
        First-person phrases that decline nothing; taken out first.
    late
        Words so firm that they refuse wherever in the first 900 characters they stand.
    premise, values
        A premise is denied, and words of equal treatment that must stand beside it.
    """

    opening: int
    declines: Gated
    apologies: tuple[str, ...]
    corrections: re.Pattern[str]
    disapproves: Gated
    redirects: re.Pattern[str]
    how: re.Pattern[str]
    offers: re.Pattern[str]
    instead: re.Pattern[str]
    warns: Gated
    idioms: re.Pattern[str] | None = None
    late: Gated = field(default=())
    premise: Gated = field(default=())
    values: tuple[str, ...] = ()
