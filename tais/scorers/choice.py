r"""Multiple choice by the letter that an answer names.

The parser reads an answer in this order and stops at the first rule that applies:

1. a final statement: ``\boxed{B}``, ``<answer>B</answer>``, ``Final answer: B``; of several, the last;
2. the opening is a letter: alone on its line (``B``, ``b``, ``(B)``, ``**B**``, ``B.``), before
   punctuation (``B) Paris``, ``B. Paris``, ``B: Paris``, ``B - Paris``, ``B, Paris``), or before *is*,
   *because*, *since* and the like (``B is correct``, ``B ist richtig``); an answer that first repeats the
   options, A and then B, does not open with its letter;
3. a statement: ``Answer: B``, ``The answer is (B)``, ``option B``, ``I would choose B``, and the same in
   other languages (:mod:`tais.scorers.choice_phrases`); what is denied (``A is wrong``, ``not A but B``) is
   none. Who names the answer goes before who mentions an option; where statements disagree the answer is
   ambiguous;
4. the first line repeats one option in full, after its letter or without (only where the options are known).

Anything else is unparseable: invalid, and counted as not correct. Letters in thinking are never read: it is
taken off before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.choice_phrases import (
    AFTER_LETTER,
    ARTICLE,
    BUT,
    CLOSE,
    DENIED_AFTER,
    FINALS,
    LETTERS,
    OPEN,
    WIDE,
    denied_before,
    letters_in,
    statement_tables,
)

__all__ = ["ChoiceScorer", "parse_letter", "parse_letters"]

_LETTERS = "ABCDEFGHIJ"
_LINE_END = r"[ \t]{0,8}(?:\r?\n|$)"
_ALONE = re.compile(rf"{OPEN}([A-Ja-j]|{LETTERS}){CLOSE}[.:,;!)。．、：）]?{CLOSE}{_LINE_END}")
_BEFORE_PUNCTUATION = re.compile(
    rf"{OPEN}([A-Ja-j]|{LETTERS})(?:[*_`\"'”’)\]}}$]{{1,6}}|[.):])[.):]?[*_]{{0,3}}(?=\s)"
)
# Another letter behind it makes it a list, which is read above or is no choice.
_BEFORE_DASH = re.compile(
    rf"{OPEN}(?!I\b)({LETTERS}){CLOSE}(?:\s{{0,2}}[-–—]{{1,2}}\s{{1,2}}|,\s{{1,2}}|[。．、：，）]\s?)(?![A-J]\b(?!\sis\b))(?=\S)"
)
_BEFORE_VERB = re.compile(rf"{OPEN}({LETTERS}){CLOSE}(?:\s{{1,4}}{AFTER_LETTER[0]}|\s?{AFTER_LETTER[1]})")
_OPENINGS = (_ALONE, _BEFORE_PUNCTUATION, _BEFORE_DASH, _BEFORE_VERB)
# Options repeated before the answer: a line with A, then one with B.
_REPEATED = re.compile(rf"{OPEN}A[^\n]{{0,400}}\n\s{{0,4}}{OPEN}B(?:[*_)\]]{{1,4}}|[.):])")
_LETTER = re.compile(r"[A-JАВСЕН](?<![A-Za-z].)(?![A-Za-z0-9])")
# Longer than what a statement holds in front of its letter.
_BEFORE = 160

Letters = frozenset[str]


class _Statement(NamedTuple):
    position: int
    letters: Letters


def parse_letter(text: str, options: Mapping[str, str] | None = None) -> str | None:
    """Return the one letter that an answer names, upper case, or None when it names none or several.

    Parameters
    ----------
    text
        The answer.
    options
        Letter to option text, for rule 4.
    """
    letters = parse_letters(text, options)
    return min(letters) if letters is not None and len(letters) == 1 else None


def parse_letters(text: str, options: Mapping[str, str] | None = None) -> Letters | None:
    """Return the letters that an answer names in one statement, two in `A and C`; None without any."""
    text = text.strip()
    if not text.isascii():
        text = text.translate(WIDE)
    # One of these is in every final statement.
    last = "<" in text or "oxed{" in text or "inal " in text or "INAL " in text
    if last and (final := _found(FINALS, text)):
        return final[-1].letters
    for pattern in _OPENINGS:
        if (match := pattern.match(text)) and not _denied(text, match) and not _REPEATED.match(text):
            return letters_in(match[1])
    window = _window(text)
    for table in statement_tables(text) if window else ():
        if statements := _found(table, window):
            return statements[0].letters if len({s.letters for s in statements}) == 1 else None
    named = _option_named(text, options) if options else None
    return frozenset(named) if named else None


def _window(text: str) -> str:
    """Return the part of a text from the first letter that stands alone, with what belongs to it before."""
    first = _LETTER.search(text)
    return "" if first is None else text[max(0, first.start() - _BEFORE) :]


def _found(table: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> list[_Statement]:
    found = [
        _Statement(match.end(), letters_in(match[1]))
        for cue, pattern in table
        if cue in text
        for match in pattern.finditer(text)
        # "The answer is A common one": an article, not a letter.
        if not (match[1] in "AI" and ARTICLE.match(text, match.end())) and not _denied(text, match)
    ]
    return sorted(found) if len(found) > 1 else found


def _denied(text: str, match: re.Match[str]) -> bool:
    """Whether what a match names is called wrong: ``option A is wrong``, ``not option A``."""
    if DENIED_AFTER.match(text, match.end(1)):
        return True
    return match.start() > 0 and match.re is not BUT and denied_before(text, match.start())


def _option_named(text: str, options: Mapping[str, str]) -> str | None:
    line = _plain(text.strip().partition("\n")[0])
    named = [
        letter
        for letter, option in options.items()
        if line in (_plain(option), f"{letter.casefold()} {_plain(option)}")
    ]
    return named[0] if len(named) == 1 else None


def _plain(text: str) -> str:
    return text.strip(" \t\r*_`\"'“”‘’.!。").casefold()


@dataclass(frozen=True, slots=True)
class ChoiceScorer:
    """1 when the parsed letter is the expected one.

    `expect` is a letter, or ``{"letter": "B", "options": {"A": "...", "B": "..."}}`` so that an answer that
    repeats an option in full counts too. In both, a list of letters stands for several right ones.

    Parameters
    ----------
    letters
        Those of the questions: another one is no choice.
    several
        Of several right letters an answer must name ``all`` and no other, or ``any`` of them.
    """

    letters: str = _LETTERS
    several: Literal["all", "any"] = "all"

    name: ClassVar[str] = "choice"
    version: ClassVar[str] = "2"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def __post_init__(self) -> None:
        if not self.letters or not set(self.letters) <= set(_LETTERS):
            raise ValueError(f"letters must be some of {_LETTERS}, not {self.letters!r}")
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
        letters = parse_letters(text, options)
        if letters is None or any(letter not in self.letters for letter in letters):
            return Score(0.0, True, "unparseable")
        if isinstance(right, str):
            # Two letters are no choice where one is right.
            (letter,) = letters if len(letters) == 1 else ("",)
            return Score(float(letter == right), not letter, letter or "unparseable")
        wanted = frozenset(_listed(right))
        fits = letters == wanted if self.several == "all" else letters <= wanted
        return Score(float(fits), False, ",".join(sorted(letters)))


def _listed(expect: object) -> list[str]:
    """Return expected letters as a list; empty for what is none."""
    letters = [one for one in (expect if isinstance(expect, list) else [expect]) if isinstance(one, str)]
    complete = len(letters) == (len(expect) if isinstance(expect, list) else 1)
    return letters if complete and all(len(one) == 1 for one in letters) else []
