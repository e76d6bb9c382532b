"""Patterns of the labels of options, letters or digits, as answers write them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["ARTICLE", "Letters", "Patterns", "letters_in", "patterns_of"]

Letters = frozenset[str]

# Cyrillic letters that look like Latin ones; those of full width are told by bare_text.
_ALIKE = str.maketrans("АВСЕНавсен", "ABCEHabceh")


class Patterns(NamedTuple):
    """How answers write labels of one kind."""

    plain: re.Pattern[str]
    """A whole answer, or its beginning, in the usual forms."""
    alone: re.Pattern[str]
    """A label alone on the first line."""
    marked: re.Pattern[str]
    """An opening label before a bracket, a point or a colon."""
    dashed: re.Pattern[str]
    """An opening label before a dash, a comma or an arrow."""
    verb: re.Pattern[str]
    """An opening label before *is*, *because* and the like."""
    repeated: re.Pattern[str]
    """Options that are repeated before the answer: a line of the first, then one of the second."""
    mention: re.Pattern[str]
    """A label, or a list of them, anywhere."""
    value: re.Pattern[str]
    """What stands in a box or between tags."""
    letter: re.Pattern[str]
    """One label."""
    run: re.Pattern[str]
    """Labels in a row, ``AC``."""


_AND = (
    r"[)\]\"']{0,2}\s{0,3}(?:,?\s?(?:and|und|et|y|e|и|和|と|ve|en|og|och|dan|&)\s|[,/&;])\s{0,3}[(\[\"']{0,2}"
)
_OPEN = r"[\s\"'(\[{]{0,6}"
_IT_IS = (
    r"(?:(?:is|because|since|as|es|est|ist|é|è|porque|weil|car|perché|является|"
    r"for|rather than|instead of|not|would be)(?=[\s:])|(?:only|then)\b)"
)
_IT_IS_RUN = r"(?:번|가\s|이\s|입니다|이다|です|が|は|是|选项|選項|项|正确|正確|だ|を)"


@lru_cache(maxsize=64)
def patterns_of(labels: str) -> Patterns:
    """Return the patterns of labels: capital letters in their order, or digits."""
    upper = re.escape(labels)
    lower = "" if labels.isdigit() else labels.lower()
    one = f"[{upper}]"
    list_ = rf"{one}(?:{_AND}{one}(?![A-Za-z0-9']|\s(?:is|was|isn't|ist|est|es)\b)){{0,9}}"
    any_ = rf"(?:{list_}|[{upper}{lower}])"
    # "I" opens no answer but alone.
    opening = rf"(?!I\b){list_}"
    lone = lower.replace("a", "").replace("i", "")
    return Patterns(
        plain=re.compile(
            rf"(?:(?:(?:[*]{{2}})?(?:[Tt]he\s)?(?:[Cc]orrect\s|[Ff]inal\s|[Bb]est\s|[Rr]ight\s)?"
            rf"(?:[Aa]nswer|[Oo]ption|ANSWER)(?:\sis)?[:*]{{0,3}}|A(?:ns)?[:.])\s{{1,2}}|"
            rf"\$?\\boxed\{{(?:\\text\{{)?)?"
            rf"[*(\[\"]{{0,3}}([{upper}])[)\].:*?!}}\"]{{0,4}}(?=[.,]?$|(?<![{upper}])\s|,?\s[^A-Za-z\s(]|\s(?:is|because|since)\s)"
        ),
        alone=re.compile(
            rf"{_OPEN}(?:\d{{1,2}}[.)]\s{{1,3}})?({any_}|"
            rf"[А-Яа-я])[)\]}}\"'.:,;!]{{0,4}}\s{{0,3}}[:-]?(?:\n|$)"
        ),
        marked=re.compile(
            rf"{_OPEN}({any_})(?:[)\]}}\"']{{1,4}}[.:,-]?(?=\s)|[)\]}}](?=[^\W_])|:(?=[\sA-Z\d\"(]|[^\x00-\x7f])"
            rf"|\.(?=\s(?!\s{{0,2}}{one}[.)](?:\s|$))|[A-Z]?[a-z]{{2}}|[\d\"(]|[^\x00-\x7f]))"
        ),
        dashed=re.compile(
            rf"{_OPEN}({opening}{f'|[{lone}]' if lone else ''})[)\]\"']{{0,3}}"
            rf"(?:\s{{0,2}}(?:-{{0,2}}>|=>?|/|;)\s{{0,2}}|\s{{0,2}}-{{1,2}}\s{{1,2}}|,\s{{0,2}}|\s\()"
            rf"(?!(?:no|nope|wrong|(?!I\s[a-z]){one})(?![^\W_]*[a-z])(?!\sis\b))(?=\S)"
        ),
        verb=re.compile(rf"{_OPEN}({opening})[)\]\"']{{0,3}}(?:\s{{1,4}}{_IT_IS}|\s?{_IT_IS_RUN})"),
        repeated=re.compile(
            rf"{_OPEN}{upper[0]}[^\n]{{0,400}}\n\s{{0,4}}{_OPEN}{labels[1:2] or upper[0]}(?:[)\]]{{1,4}}|"
            rf"[.:])"
        ),
        mention=re.compile(
            rf"(?<![A-Za-z0-9À-ɏ&+])(?<![A-Za-z]['-])(?<!\d[.,])({list_}|[{lower or upper}](?=[).:\]]|"
            rf"\s?$|\sis\s(?:correct|right|the\s))|[АВСЕН](?=[\s.,;)!]{{0,3}}$))"
            rf"(?![A-Za-z0-9À-ɏ+#°%]|['.-][A-Za-z]\b|'[a-z](?!ir|ır|ur|ür|[iıea]\b)|'(?:est|accord|être|"
            rf"avoir|un|une)\b|-[A-Za-z]|[.,]\d)"
        ),
        value=re.compile(
            rf"[\s\"'(\[]{{0,6}}(?:(?:the\s)?(?:correct\s|final\s)?(?:answer|option|choice|"
            rf"letter)?(?:\sis)?[\s:]{{0,3}})[\"'(\[]{{0,3}}"
            rf"({any_})(?:[\s)\].,:;}}\"'-]|$)",
            re.IGNORECASE if lower else 0,
        ),
        letter=re.compile(rf"(?<![A-Za-z0-9])[{upper}](?![A-Za-z0-9])"),
        run=re.compile(
            rf"(?:[^\n]{{0,40}}(?:[:是为]|\bis|\bare)\s{{0,2}})?[\"'(]?([{upper}]{{2,6}})[)\"'.]{{0,3}}"
        ),
    )


def letters_in(said: str, patterns: Patterns) -> Letters | None:
    """Return the letters of a list, upper case."""
    if not said.isascii():
        said = said.translate(_ALIKE)
    found = patterns.letter.findall(said.upper() if len(said) == 1 else said)
    return frozenset(found) if found else None


ARTICLE = re.compile(
    r"[ \t]+(?!(?:because|since|is|as|and|for|with|due|which|based|from|in|or|but|sondern|sino|mais|mas|"
    r"ma|rather|not|seems|fits|remains|would|must)\b)[a-zà-ÿ]"
)
"""What stands behind `A` or `I` where it is a word of a sentence."""
