"""Numbers in English words, and the words for thousands and millions behind a number in many languages."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["SCALES", "worded_number"]

_FIRST = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: value for value, word in enumerate(_FIRST.split())}
_TENS = {word: 10 * place for place, word in enumerate(_ROUND.split(), start=2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    name: size
    for size, names in {
        2: "half halves", 3: "third thirds", 4: "quarter quarters fourth fourths", 5: "fifth fifths",
        6: "sixth sixths", 7: "seventh sevenths", 8: "eighth eighths", 9: "ninth ninths", 10: "tenth tenths",
    }.items()
    for name in names.split()
}  # fmt: skip
_WORD = "|".join((*_SMALL, *_TENS, "hundred", *_LARGE))
_WORDED = re.compile(
    rf"\b(minus\s|negative\s)?((?:an?\s(?=hundred|thousand|million|billion|half|third|quarter|dozen))?"
    rf"(?:{_WORD}|dozen|half)(?:(?:\s|-|"
    rf"\sand\s)(?:{_WORD})){{0,12}})(?:[\s-]({'|'.join(_PARTS)}))?(\s?percent|\s?per cent|\s?%)?(?![\w-])",
    re.IGNORECASE,
)
# One is a pronoun and an article, and says no number where it stands in a sentence.
_PRONOUN = frozenset(("one", "half", "a half"))

SCALES = {
    word: factor
    for factor, words in {
        10**2: "hundred",
        10**3: "thousand thousands tausend Tsd mil mille mila тысяч тысячи тысяча тыс हज़ार हजार ألف 千 천",
        10**4: "万 萬 만",
        10**5: "lakh lakhs lac लाख",
        10**6: "million millions mn Million Millionen Mio millón millones milhão milhões milione milioni "
        "миллион миллиона миллионов млн مليون",
        10**7: "crore crores करोड़",
        10**8: "億 亿 억",
        10**9: "billion billions bn Milliarde Milliarden Mrd milliard milliards миллиард миллиарда "
        "миллиардов млрд",
        10**12: "trillion trillions tn 兆 조",
    }.items()
    for word in words.split()
}
"""Words behind a number that multiply it."""


def worded_number(text: str, *, alone: bool) -> tuple[Fraction | int, bool, int] | None:
    """Return the value of an English number word, whether it is a percentage, and where it ends.

    Parameters
    ----------
    text
        What may hold it.
    alone
        It must begin the text, as it does behind *the answer is*; else the last of the text is meant.
    """
    if alone:
        match = _WORDED.match(text)
    else:
        match = next(
            (m for m in reversed(list(_WORDED.finditer(text))) if m[3] or m[2].lower() not in _PRONOUN), None
        )
        whole = _WORDED.fullmatch(text.strip(" .!*"))
        match = whole or match
    if match is None:
        return None
    value = _value(re.split(r"[\s-]+", match[2].lower()))
    if value is None:
        return None
    if match[3]:
        value = Fraction(value) / _PARTS[match[3].lower()]
    return (-value if match[1] else value), match[4] is not None, match.end()


def _value(words: list[str]) -> Fraction | int | None:
    if words[-1] == "half":
        return Fraction(1, 2) if len(words) == 1 or words[:-1] in (["a"], ["one"]) else None
    total = current = 0
    last = 10**15
    for word in words:
        if word == "and":
            continue
        if word in ("a", "an"):
            current = 1
        elif word in _TENS:
            if current % 100:
                return None
            current += _TENS[word]
        elif word in _SMALL:
            # Twenty one, not one twenty.
            if current % 10 or (_SMALL[word] > 9 and current % 100):
                return None
            current += _SMALL[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "dozen":
            current = (current or 1) * 12
        else:
            if _LARGE[word] >= last:
                return None
            last = _LARGE[word]
            total, current = total + (current or 1) * last, 0
    return total + current
