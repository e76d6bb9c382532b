r"""Multiple choice by the letter that an answer names.

The parser reads an answer in this order and stops at the first rule that applies:

1. the opening is a letter: alone on its line (``B``, ``b``, ``(B)``, ``**B**``, ``B.``), before
   punctuation (``B) Paris``, ``B. Paris``, ``B: Paris``), or before *is*, *because*, *since*
   (``B is correct``); an answer that first repeats the options, A and then B, does not open with its letter;
2. a statement: ``Answer: B``, ``The answer is (B)``, ``option B``, ``choice B``, ``\boxed{B}``; where
   statements disagree, the last that says *final* decides, and without one the answer is ambiguous;
3. the first line repeats one option in full (only where the options are known).

Anything else is unparseable: invalid, and counted as not correct.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tais.scorers.base import EMPTY, Exchange, Score

__all__ = ["ChoiceScorer", "parse_letter"]

_LETTERS = "ABCDEFGHIJ"
# Brackets, quotes and Markdown or LaTeX emphasis that may surround a letter. All runs are bounded: an
# answer can be thousands of blanks or asterisks, on which open-ended ones take time in the square of it.
_OPEN = r"[\s*_`\"'“‘(\[{$]{0,8}"
_CLOSE = r"[*_`\"'”’)\]}$]{0,6}"
_ALONE = re.compile(rf"{_OPEN}([A-Ja-j]){_CLOSE}[.:,;!)]?{_CLOSE}[ \t]{{0,8}}(?:\r?\n|$)")
_BEFORE_PUNCTUATION = re.compile(
    rf"{_OPEN}([A-Ja-j])(?:[*_`\"'”’)\]}}$]{{1,6}}|[.):])[.):]?[*_]{{0,3}}(?=\s)"
)
_BEFORE_VERB = re.compile(rf"{_OPEN}([A-J]){_CLOSE}\s{{1,4}}(?:is|because|since)\b")
# Each pattern stands beside the literal that it starts with, which `in` finds much faster than `re` does;
# the first letter of a cue is left out because it may be a capital.
_LINK = r"(?:\s{1,4}(?:is|would be|should be|must be)|\s{0,4}[:=]|\s{1,4}is\s{0,4}:)?"
_TARGET = r"[\s*_`\"'“(\[{$]{0,8}(?:\\(?:text|mathrm|textbf)\{)?([A-J])(?![A-Za-z0-9'’])"
_KIND = r"(?:option|choice|letter)"
_STATEMENTS = (
    ("nswer", re.compile(rf"nswer(?:\s{{1,4}}{_KIND})?{_CLOSE}{_LINK}:?\s{{0,4}}{_KIND}?{_TARGET}")),
    ("NSWER", re.compile(rf"NSWER{_CLOSE}{_LINK}:?{_TARGET}")),
    ("ption", re.compile(rf"ption{_LINK}{_TARGET}")),
    ("hoice", re.compile(rf"hoice{_LINK}{_TARGET}")),
    ("oxed{", re.compile(rf"oxed\{{{_TARGET}")),
)
_ARTICLE = re.compile(r"[ \t]+(?!(?:because|since|is|as)\b)[a-z]")
# Options repeated before the answer: a line with A, then one with B.
_REPEATED = re.compile(rf"{_OPEN}A[^\n]{{0,400}}\n\s{{0,4}}{_OPEN}B(?:[*_)\]]{{1,4}}|[.):])")


@dataclass(frozen=True, slots=True)
class _Statement:
    position: int
    letter: str
    final: bool


def parse_letter(text: str, options: Mapping[str, str] | None = None) -> str | None:
    """Return the letter that an answer names, upper case, or None when it names none.

    Parameters
    ----------
    text
        The answer.
    options
        Letter to option text, for rule 3.
    """
    text = text.strip()
    for pattern in (_ALONE, _BEFORE_PUNCTUATION, _BEFORE_VERB):
        if (match := pattern.match(text)) and not _REPEATED.match(text):
            return match[1].upper()
    statements = _statements(text)
    if statements:
        return _agreed(statements)
    return _option_named(text, options) if options else None


def _statements(text: str) -> list[_Statement]:
    found = []
    for cue, pattern in _STATEMENTS:
        for match in pattern.finditer(text) if cue in text else ():
            letter = match[1]
            # "The answer is A common one": an article, not a letter.
            if letter in "AI" and _ARTICLE.match(text, match.end()):
                continue
            final = "final" in text[max(0, match.start() - 12) : match.start()].lower()
            found.append(_Statement(match.start(), letter, final))
    return sorted(found, key=lambda s: s.position)


def _agreed(statements: list[_Statement]) -> str | None:
    if len({s.letter for s in statements}) == 1:
        return statements[0].letter
    final = [s.letter for s in statements if s.final]
    return final[-1] if final else None


def _option_named(text: str, options: Mapping[str, str]) -> str | None:
    line = _plain(text.strip().partition("\n")[0])
    named = [letter for letter, option in options.items() if _plain(option) == line]
    return named[0] if len(named) == 1 else None


def _plain(text: str) -> str:
    return text.strip(" \t\r*_`\"'“”‘’.!").casefold()


@dataclass(frozen=True, slots=True)
class ChoiceScorer:
    """1 when the parsed letter is the expected one.

    `expect` is a letter, or ``{"letter": "B", "options": {"A": "...", "B": "..."}}`` so that an answer that
    repeats an option in full counts too.
    """

    letters: str = _LETTERS

    name: ClassVar[str] = "choice"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def __post_init__(self) -> None:
        if not self.letters or not set(self.letters) <= set(_LETTERS):
            raise ValueError(f"letters must be some of {_LETTERS}, not {self.letters!r}")

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` holds one of the letters."""
        if isinstance(expect, Mapping):
            options = expect.get("options")
            if not isinstance(options, Mapping) or expect.get("letter") not in options:
                raise ValueError(f"expect needs a letter and its options, not {expect!r}")
            expect = expect["letter"]
        if not (isinstance(expect, str) and len(expect) == 1 and expect in self.letters):
            raise ValueError(f"expect must be one of the letters {self.letters}, not {expect!r}")

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        """Score one answer; the label is the parsed letter."""
        if not text or text.isspace():
            return EMPTY
        options = expect["options"] if isinstance(expect, Mapping) else None
        wanted = expect["letter"] if isinstance(expect, Mapping) else expect
        letter = parse_letter(text, options)
        if letter is None or letter not in self.letters:
            return Score(0.0, True, "unparseable")
        return Score(float(letter == wanted), False, letter)
