"""All the letters that an answer mentions, and what it says of each.

What stands before a letter is read word by word, backwards (:mod:`tais.scorers.choice_phrases`); with what
stands behind it, that says whether it is the answer, a choice, an option among others, or denied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tais.scorers.choice_labels import ARTICLE, Letters, Patterns, letters_in
from tais.scorers.choice_phrases import (
    ANSWER_WORDS,
    BUT_WORDS,
    CHOICE_WORDS,
    DENIED_AFTER,
    DENYING,
    DOUBT,
    FILLERS,
    HEDGES,
    LINKS,
    OPTION_WORDS,
    RIGHT_AFTER,
    RUN_ANSWER,
    RUN_CHOICE,
    RUN_DENIED,
    RUN_OPTION,
)

__all__ = ["Mention", "Weight", "in_doubt", "mentions_in"]

_BEFORE, _BEHIND, _MOST_WORDS = 120, 110, 14
# Of an answer with more mentions, the first and the last are read.
_FIRST, _LAST = 48, 80


class Weight(IntEnum):
    """How much is said of a letter."""

    denied = -1
    mentioned = 0
    option = 1
    """An option is spoken of."""
    chosen = 2
    """It is chosen, or called right."""
    answer = 3
    """It is said to be the answer."""


class Mention(NamedTuple):
    """Letters at a place of an answer."""

    letters: Letters
    weight: Weight
    start: int
    end: int


_ENDING = re.compile(
    r"[)\]\"']{0,3}(?:\s{0,4}$|\s?[.!,;\n)]|\s(?:because|since|as|for|which|based|sagen|nehmen|wählen|"
    r"diyorum|olmalı)\b)"
)
_SENTENCE = re.compile(r"[.!?;\n]")
_TOKEN = re.compile(r"\.(?!\d)|[!?;,\n:]|[^\s.,:;!?()\[\]{}\"=|>\n]+")
_ENDS_SENTENCE = re.compile(r"[)\]\"']{0,3}(?:[.!]?\s{0,3}$|[.!]?\s{0,3}\n)")
_COLON = re.compile(r":[\s\"'(]{0,6}$")
_WRONG = frozenset(("wrong", "incorrect", "false", "eliminated", "falsch", "incorrectas", "faux"))
# "The statement that is not true is C" denies nothing of C.
_TRUE = frozenset(
    ("true", "correct", "right", "false", "correcta", "correcto", "verdadera", "richtig", "vraie", "correcte")
)
_STOPS = frozenset(".!?;:")
_TRIM = " \n\t:=->\"'()[]{"
_JOINED = re.compile(r"[:=>\-\n(]\s{0,4}[\"'(\[{]{0,3}\s?$")


def mentions_in(text: str, patterns: Patterns) -> list[Mention]:
    """Return the mentions of letters in a text, in order."""
    found = list(patterns.mention.finditer(text))
    if len(found) > _FIRST + _LAST:
        found = found[:_FIRST] + found[-_LAST:]
    mentions: list[Mention] = []
    for match in found:
        letters = letters_in(match[1], patterns)
        if letters is None:
            continue
        weight = _weighed(text, match.start(1), match.end(1), match[1], mentions)
        if weight is not None:
            mentions.append(Mention(letters, weight, match.start(1), match.end(1)))
    return mentions


def _weighed(text: str, start: int, end: int, said: str, earlier: Sequence[Mention]) -> Weight | None:
    """Return what is said of the letters at a place; None where they are no letters of options."""
    if said in ("A", "I", "a", "i") and ARTICLE.match(text, end):
        return None
    if DENIED_AFTER.match(text, end, end + _BEHIND):
        return Weight.denied
    before = text[max(0, start - _BEFORE) : start]
    weight = _weight_before(before, text, end, said, earlier)
    if weight == Weight.denied:
        return weight
    if text[end : end + 3].lstrip(")\"' ")[:1] == "?":
        # Asked, not said.
        return Weight.mentioned
    if weight in (Weight.answer, Weight.chosen):
        return weight
    if (
        said not in ("a", "i", "I")
        and RIGHT_AFTER.match(text, end, end + _BEHIND)
        and not in_doubt(_SENTENCE.split(before)[-1])
    ):
        return Weight.chosen
    return weight


def _weight_before(before: str, text: str, end: int, said: str, earlier: Sequence[Mention]) -> Weight:
    cue = before.rstrip(_TRIM)
    if not before.isascii():
        if RUN_DENIED.search(cue):
            return Weight.denied
        if RUN_ANSWER.search(cue):
            return Weight.denied if in_doubt(_SENTENCE.split(cue)[-1]) else Weight.answer
        if RUN_CHOICE.search(cue):
            return Weight.denied if in_doubt(_SENTENCE.split(cue)[-1]) else Weight.chosen
        if RUN_OPTION.search(cue):
            return Weight.option
    tokens = _TOKEN.findall(cue)
    ends = _ENDING.match(text, end) is not None
    lower = said.islower()
    denied_before = any(mention.weight == Weight.denied for mention in earlier)
    linked = ends or _JOINED.search(before) is not None
    option = hedged = paused = copula = concluded = False
    clause: Weight | None = None
    passed = 0
    for place in range(len(tokens) - 1, max(-1, len(tokens) - 1 - _MOST_WORDS), -1):
        word = tokens[place].casefold()
        if word in ".!?;\n:":
            break
        if word == ",":
            paused = True
            # "The answer isn't B, it's C."
            if (copula or concluded) and ends and not lower:
                clause = Weight.option if hedged else Weight.chosen
            continue
        passed += 1
        word = word.strip("-'").removeprefix("l'") or word
        if word in BUT_WORDS and ends and not lower and (passed > 1 or denied_before):
            if word in ("instead", "rather") and tokens[place + 1 : place + 2] in (["of"], ["than"]):
                return Weight.denied
            return Weight.option if hedged else Weight.chosen
        denying = word in DENYING or word.endswith("n't")
        if denying and not paused and not (copula and tokens[place + 1].casefold() in _TRUE):
            return Weight.denied
        if word in ANSWER_WORDS:
            if in_doubt(_clause(tokens, place)):
                return Weight.denied
            if linked or option or passed > 1:
                return Weight.option if hedged or not (linked or passed > 1) else Weight.answer
            return Weight.option
        if word in OPTION_WORDS:
            option = True
        elif word in CHOICE_WORDS and word not in FILLERS:
            if lower and not ends:
                return Weight.mentioned
            if in_doubt(_clause(tokens, place)) or _denies(tokens[:place]):
                return Weight.denied
            return Weight.chosen if ends or option or passed > 1 else Weight.mentioned
        elif word in HEDGES:
            hedged = True
        elif word not in FILLERS:
            # "The one that does not fit is C."
            if copula and ends and clause is None:
                return Weight.denied if in_doubt(_clause(tokens, place + 1)) else Weight.option
            # "To sum up: C"
            named = option or (
                cue != before.rstrip()
                and word not in _WRONG
                and _COLON.search(before)
                and _ENDS_SENTENCE.match(text, end)
            )
            return clause or (Weight.option if named and not lower else Weight.mentioned)
        copula = copula or word in LINKS
        concluded = concluded or word in CHOICE_WORDS
    if option:
        # "Option C", "Choice: C", with nothing but small words before.
        return Weight.option if not lower or linked else Weight.mentioned
    # "Probably C.", "It is C", "Es la C": small words from beginning to end of a sentence, or none.
    whole = passed or (
        before[-1:].isspace()
        and (denied_before or _COLON.search(before) is not None)
        and before.rstrip(" \n\t\"'(")[-1:] in _STOPS
        and _ENDS_SENTENCE.match(text, end)
    )
    if not whole or not ends or hedged or lower:
        return Weight.mentioned
    return Weight.denied if in_doubt(_clause(tokens, len(tokens))) else Weight.chosen


def _clause(tokens: Sequence[str], place: int) -> str:
    """Return the words of a sentence that stand before a place."""
    begin = next((at for at in range(place - 1, -1, -1) if tokens[at] in ".!?;\n"), -1)
    return " ".join(tokens[begin + 1 : place]).replace(" ,", ",")


def in_doubt(clause: str) -> bool:
    """Whether the words in front of a statement make it none: ``I don't think``, ``some say``."""
    return bool(clause) and DOUBT.search(clause) is not None


def _denies(tokens: Sequence[str]) -> bool:
    """Whether the words in front of a verb deny it: ``would not choose``, ``never pick``."""
    last = " ".join(tokens[-2:]).casefold().rpartition(",")[2].split()
    return any(word in DENYING or word.endswith("n't") for word in last)
