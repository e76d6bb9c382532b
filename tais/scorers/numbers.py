r"""A number as people, models and data sets write it: 1,234.5, 3/4, 1 1/2, \frac{3}{4}, 50 %, 3e8, 5 km.

Numbers are kept as fractions, so that 0.30 is 0.3 and a third is a third.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Number", "final_number", "same_number", "whole_number"]

_LONGEST = 60
"""Digits of a number; a longer one is none that anybody asked for."""


class Number(NamedTuple):
    """A number with what stands behind it."""

    value: Fraction
    percent: bool = False
    behind: str = ""
    """Its currency, or the text that follows it."""

    @property
    def unit(self) -> str | None:
        """One of the units below; others are words like any."""
        behind = self.behind
        if behind in _UNITS or not behind or behind[0] in "\n.":
            return behind if behind in _UNITS else None
        if "\\" in behind:
            behind = _SPACES.sub(" ", _TEXT.sub(r" \1", behind))
        word = _UNIT.match(behind)
        return word[1] if word and word[1] in _UNITS else None

    def __str__(self) -> str:
        """Return what tells it from others."""
        return f"{self.value}{'%' if self.percent else ''}"


# Dimension, and factor to its first unit.
_UNITS = {
    name: (dimension, Fraction(factor))
    for dimension, rows in {
        "length": "mm millimeters:1/1000 cm centimeter centimeters centimetres:1/100 "
        "m meter meters metre metres:1 "
        "km kilometer kilometers kilometre kilometres:1000 ft foot feet:0.3048 mi mile miles:1609.344",
        "mass": "mg:1/1000 g gram grams:1 kg kilogram kilograms:1000 lb lbs pound pounds:453.59237",
        "time": "ms milliseconds:1/1000 s sec second seconds:1 min minute minutes:60 "
        "h hr hrs hour hours:3600 "
        "day days:86400 week weeks:604800",
        "volume": "ml mL milliliters:1/1000 l L liter liters litre litres:1",
        "dollar": "cent cents ¢:1/100 $ dollar dollars USD:1",
        "euro": "€ euro euros EUR:1",
        "pound sterling": "£ GBP:1",
    }.items()
    for names, factor in (row.rsplit(":", 1) for row in re.findall(r"[^:]+:\S+", rows))
    for name in names.split()
}

_BLANK = "[ \u00a0\u2009\u202f'’]"
_DECIMAL = (
    r"(?:[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?"  # 1,234,567.8
    r"|[1-9]\d{0,2}(?:\.\d{3})+,\d+"  # 1.234,56
    r"|[1-9]\d{0,2}(?:(?:,?\\[,!;]|\{,\})\d{3})+(?!\d)(?:\.\d+)?"  # 1\,234 and 1{,}234
    rf"|[1-9]\d{{0,2}}(?:{_BLANK}\d{{3}})+(?!\d)(?:[.,]\d+)?"  # 1 234 567,8
    r"|\d+(?:[.,]\d+)?|\.\d+)"
)
_INT = r"\d{1,60}"
_NUMBER = re.compile(
    r"(?P<sign>[-+−])?(?P<money>\\?[$€£¥])?\s?"
    r"(?:"
    rf"(?:(?P<whole>{_INT})\s?)?\\[dtc]?frac\s?\{{\s?(?P<top>-?{_INT}(?:\.\d+)?)\s?\}}\s?\{{\s?(?P<bottom>{_INT}(?:\.\d+)?)\s?\}}"
    r"|\\[dtc]?frac\s?(?P<top1>\d)(?P<bottom1>\d)"
    rf"|(?:(?P<whole2>{_INT})(?:\s|\s?[&+]\s?))?(?<![\d/])(?P<top2>{_INT}(?:,\d{{3}})*)\s?[/⁄]\s?(?P<bottom2>{_INT}(?:,\d{{3}})*)(?![\d/])"
    r"|(?P<base>\d{1,6})\s?(?:\^|\*\*)\s?\{?(?P<power>[-−]?\d{1,3})\}?"
    rf"|(?P<plain>{_DECIMAL})"
    r"(?:\s?(?:[×x*·]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?(?P<ten>[-−+]?\d{1,3})\}?|[eE](?P<exp>[-+−]?\d{1,3})(?!\w))?"
    r")"
    r"(?P<percent>\s?(?:\\?%|％|٪|percent\b|per cent\b))?"
)
# What cannot be worked out here, next to a number.
_ROOT_OR_SYMBOL = re.compile(
    r"\s?(?:\\(?:sqrt|pi|log|ln|sin|cos|tan|times|cdot|over|pm|infty)\b|[√π∞±]|(?:\^|\*\*)\s?(?!\{?\s?\\circ)[\d{(])"
)
_ENDS_IN_MATH = re.compile(r"(?:\\(?:sqrt|log|ln|pi)\s?(?:\[\d\])?\{?|√\s?\(?|π\s?)$")

_BOXED = "oxed{"
_MARKED = (
    ("####", re.compile(r"#### *")),
    (
        "nswer",
        re.compile(
            r"nswer(?:\s(?:is|was|would be)|\s?[=:])?:?\*{0,2}\s{0,4}(?:[a-z]\s?=\s?|approximately |about )?"
        ),
    ),
)
"""GSM8K's mark, and worded conclusions, each beside a text that it holds. The last decides."""
_LEAD = re.compile(r"[*$\\(\[]{0,4}\s{0,4}")
_DIGIT = re.compile(r"\d")
# All that a plain number is written with, so that none reaches beyond such a run.
_SIMPLE = re.compile(r"([-+−]?)([$€£¥]?)([1-9]\d{0,2}(?:,\d{3})+|\d{1,60})(\.\d{1,60})?[.,]?")
_RUN = re.compile(r"[\d,.]*[$€£¥]?[-+−]?")
_JOINS_BEFORE = frozenset("0123456789/⁄^{}_'’)!\\")
_JOINS_AFTER = frozenset("/⁄%％٪\\^eE×x*·}")
_GOES_ON = _JOINS_AFTER | frozenset("0123456789,.√π∞±'’\u00a0\u2009\u202f")
_WINDOW = 160
_BEHIND_IT = 40
_UNIT = re.compile(r"\s{0,3}([A-Za-z]{1,12}|[$€£¢])(?![A-Za-z/^²³\d])")
_MATH = ("\\", " \\", "√", "π", " π", "∞", "±", " ±", "^", "*")
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mathbf|operatorname)\s?\{([^{}\d]{0,60})\}")
_SPACES = re.compile(r"\^\s?\{?\s?\\circ\s?\}?|\\[ ,;:!]|~|\\(?:left|right)|\\(?=[%$€£])")
_DELIMITERS = ("$$", "$"), ("\\(", "\\["), ("\\)", "\\]")
# Behind an expected number: words, and units with a slash or a small power.
_BEHIND = re.compile(r"(?:[^\W\d_]|[ °µ'’().,/$€£¥-]|(?<=[^\W\d_])\^?\{?[23²³]\}?)*\s*")
_VARIABLES = frozenset("xyznkabcpqirtuvwefo") - {"t"}


def final_number(text: str) -> Number | None:
    r"""Return the number that an answer ends in, or None without one that can be read.

    A number in ``\boxed{}``, after ``####`` or after *answer* goes before the last number of the text. What
    is boxed is read whole: of ``\boxed{2\sqrt{3}}`` no number is read.
    """
    for mark, pattern in _MARKED[:1]:
        if mark in text and (found := _after_last(pattern, text)) is not None:
            return found
    if _BOXED in text:
        boxes = text.rsplit(_BOXED, 1)[1]
        return whole_number(_balanced(boxes))
    for mark, pattern in _MARKED[1:]:
        if mark in text and (found := _after_last(pattern, text)) is not None:
            return found
    return _last(text)


def whole_number(text: str) -> Number | None:
    """Return the number that a text is, with a unit or words behind it at most; None for anything else.

    ``18``, ``$1,200``, ``3/4``, ``x = 5``, ``12 apples``, ``5 km``; neither ``3 or 4`` nor ``2x + 1``.
    """
    if (simple := _SIMPLE.fullmatch(text)) is not None:
        return _simple(text, simple)
    plain = (
        _SPACES.sub(" ", _TEXT.sub(r" \1", text.replace(",\\!", ",")))
        if "\\" in text or "~" in text
        else text
    )
    plain = plain.strip().strip("*`").strip().rstrip(".").strip()
    while len(plain) > 1 and plain[0] == "$" == plain[-1]:
        plain = plain[1:-1].strip()
    if plain.startswith("(") and plain.endswith(")") and plain.count("(") == 1 and "," not in plain:
        plain = plain[1:-1].strip()
    if (named := re.match(r"[A-Za-z]\s?=\s?", plain)) is not None:
        plain = plain[named.end() :]
    match = _NUMBER.match(plain)
    if match is None:
        return None
    behind = plain[match.end() :]
    if (
        _BEHIND.fullmatch(behind) is None
        or behind.strip() in _VARIABLES
        or behind.lstrip()[:1] in set("-,/(")
    ):
        return None
    return _read(plain, match)


def same_number(given: Number, expected: Number) -> bool:
    """Return whether two numbers are equal, units and percent signs considered where both have them.

    Where one alone has a percent sign, 50 % is 50 and 0.5: whether the sign belongs to the answer or to the
    question is not known. Where both have units of one kind they are converted; of two kinds they differ.
    """
    if given.percent != expected.percent:
        signed, plain = (given, expected) if given.percent else (expected, given)
        return plain.value in (signed.value, signed.value / 100)
    wanted = expected.unit
    unit = None if wanted is None else given.unit
    if wanted is None or unit is None:
        return given.value == expected.value
    (kind, factor), (other, scale) = _UNITS[unit], _UNITS[wanted]
    return kind == other and given.value * factor == expected.value * scale


def _after_last(pattern: re.Pattern[str], text: str) -> Number | None:
    """Return the number behind the last mark that has one."""
    for mark in reversed(list(pattern.finditer(text))):
        lead = _LEAD.match(text, mark.end())
        start = mark.end() if lead is None else lead.end()
        # A currency or a sign may have been taken for the lead.
        simple = _SIMPLE.match(text, start)
        if simple is not None and text[simple.end() : simple.end() + 2].strip()[:1] not in _GOES_ON:
            return _simple(text, simple)
        match = _NUMBER.match(text, start - (text[start - 1 : start] in "$\\" and start > mark.end()))
        if match is not None and _ROOT_OR_SYMBOL.match(text, match.end()) is None:
            return _read(text, match)
    return None


def _balanced(text: str) -> str:
    """Return a text up to the brace that closes it."""
    depth = 1
    for place, character in enumerate(text[:400]):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:place]
    return text[:400]


def _last(text: str) -> Number | None:
    # Every digit is part of a number, and the last one of the last number: looked for from the end.
    backwards = text[::-1]
    last = _DIGIT.search(backwards)
    if last is None:
        return None
    run = _RUN.match(backwards, last.start())
    assert run is not None, "the pattern matches nothing, too"
    start, end = len(text) - run.end(), len(text) - run.start()
    before, after = text[max(0, start - 3) : start].rstrip(), text[end : end + 2].lstrip()
    raised = text[start - 1 : start] in ("e", "E") and text[start - 2 : start - 1].isdigit()
    if (
        not raised
        and before[-1:] not in _JOINS_BEFORE
        and after[:1] not in _JOINS_AFTER
        and end - start <= _LONGEST
    ):
        if (simple := _SIMPLE.fullmatch(text, start, end)) is not None and not text.startswith(_MATH, end):
            return _simple(text, simple)
        match = _NUMBER.search(text, start)
    else:
        first = max(0, start - _WINDOW)
        match = next(reversed(list(_NUMBER.finditer(text, first, end + 40))), None)
    if match is None or _ENDS_IN_MATH.search(text, max(0, match.start() - 16), match.start()):
        return None
    if _ROOT_OR_SYMBOL.match(text, match.end()) or text[match.start() - 1 : match.start()] in ("^", "_"):
        return None
    if text[max(0, match.start() - 2) : match.start()] == "}{":
        # Below a line over which there is no number.
        return None
    return _read(text, match)


def _simple(text: str, match: re.Match[str]) -> Number:
    """Return a plain number: most are, and are read at a third of the time."""
    sign, money, whole, decimals = match.groups()
    value = (
        Fraction(int(whole.replace(",", "")))
        if decimals is None
        else Fraction(whole.replace(",", "") + decimals)
    )
    end = match.end()
    return Number(-value if sign in ("-", "−") else value, False, money or text[end : end + _BEHIND_IT])


def _read(text: str, match: re.Match[str]) -> Number | None:
    value = _value(match)
    if value is None:
        return None
    if match["sign"] and match["sign"][0] in "-−":
        value = -value
    money = (match["money"] or "").removeprefix("\\")
    return Number(value, match["percent"] is not None, money or text[match.end() : match.end() + _BEHIND_IT])


def _value(match: re.Match[str]) -> Fraction | None:
    if (plain := match["plain"]) is not None:
        value = _decimal(plain)
        power = match["ten"] or match["exp"]
        if value is None or power is None:
            return value
        factor = _power(10, power)
        return None if factor is None else value * factor
    if match["base"] is not None:
        return _power(int(match["base"]), match["power"])
    if match["top1"] is not None:
        whole, top, bottom = None, match["top1"], match["bottom1"]
    elif match["top"] is not None:
        whole, top, bottom = match["whole"], match["top"], match["bottom"]
    else:
        whole, top, bottom = match["whole2"], match["top2"], match["bottom2"]
    below = Fraction(bottom.replace(",", ""))
    return None if below == 0 else int(whole or 0) + Fraction(top.replace(",", "")) / below


def _power(base: int, exponent: str) -> Fraction | None:
    power = int(exponent.replace("−", "-"))
    return None if base == 0 or abs(power) > _LONGEST else Fraction(base) ** power


def _decimal(text: str) -> Fraction | None:
    """Return the value of digits with separators; a comma before other than three digits is a decimal one."""
    if len(text) > _LONGEST:
        return None
    if not text.isdigit():
        text = re.sub(rf",?\\[,!;]|\{{,\}}|{_BLANK}", "", text)
        head, mark, tail = _at_last_mark(text)
        thousands = mark == "," and len(tail) == 3 and head[:1] not in ("", "0") and "." not in head
        plain = head.replace(",", "").replace(".", "")
        text = plain + tail if thousands or not mark else f"{plain}.{tail}"
    # Reading a fraction from text takes several times as long.
    return Fraction(text) if "." in text else Fraction(int(text))


def _at_last_mark(text: str) -> tuple[str, str, str]:
    last = max(text.rfind(","), text.rfind("."))
    return ("", "", text) if last < 0 else (text[:last], text[last], text[last + 1 :])
