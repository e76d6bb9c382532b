r"""A number as people, models and data sets write it: 1,234.5, 3/4, 1 1/2, \frac{3}{4}, 50 %, 3e8, 5 km.

Numbers are kept as whole numbers and fractions, so that 0.30 is 0.3 and a third is a third. What stands
beside a number is read with it: of *3 + 4 = 7* it is 7, and *3 to 5*, *x + 1* and *(1, 2)* are no number.
"""

from __future__ import annotations

import re
from fractions import Fraction

from tais.scorers.number_text import one_notation
from tais.scorers.number_units import Number
from tais.scorers.number_words import SCALES, worded_number

__all__ = ["final_number", "whole_number"]

_LONGEST = 60
"""Digits of a number; a longer one is none that anybody asked for."""

_GAP = "[ \u00a0\u2009\u202f'’_]"
_DECIMAL = (
    r"(?:[1-9]\d{0,2}(?:,\d{3})+(?![\d,])(?:\.\d+)?"  # 1,234,567.8
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?!\d)(?:\.\d+)?"  # 12,34,567: India
    r"|[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}(?![\d.])"  # 1.234,56 and 1.234.567
    rf"|[1-9]\d{{0,2}}(?:{_GAP}\d{{3}})+(?!\d)(?:[.,]\d+)?"  # 1 234 567,8
    r"|\d+(?:[.,]\d+)?|\.\d+)"
)
_INT = r"\d{1,60}"
_MONEY = r"(?:[$€£¥₹]|US\$|USD\s?|EUR\s?|Rs\.?\s?)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]\s?|\b(?:[Mm]inus|[Nn]egative|[Pp]lus)\s)?(?:(?P<money>{_MONEY})\s?)?(?P<sign2>-)?(?:"
    rf"(?:(?P<whole>{_INT})[\s&+-]{{1,3}})?(?<![\d/])"
    rf"(?:\((?P<top>-?{_INT}(?:[.,]\d+)*)\)/\((?P<bottom>-?{_INT}(?:[.,]\d+)*)\)"
    rf"|(?P<top2>{_INT}(?:,\d{{3}})*)\s?/\s?(?P<bottom2>{_INT}(?:,\d{{3}})*)(?!\s?/\s?\d|[\d.,]\d))"
    r"|(?P<base>\d{1,6})\s?(?:\^|\*\*)\s?(?P<power>[-+]?\d{1,3})(?!\d)"
    rf"|(?P<plain>{_DECIMAL})"
    r"(?:\s?[x*]\s?10\s?(?:\^|\*\*)\s?(?P<ten>[-+]?\d{1,3})|[eE](?P<exp>[-+]?\d{1,3})(?!\w))?"
    r")"
)
_PERCENT = re.compile(
    r"\s?(?:%|(?:percent|per cent|pct|Prozent|por ciento|por cento|pour cent|per cento|procent|"
    r"процент\w{0,2}|퍼센트|パーセント)(?!\w))"
)
_SCALE = re.compile(r"\s{0,3}([^\W\d_]{1,9})(?![^\W_])|([万萬億亿兆千만억조천])")
_ABBREVIATED = {
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "B": 10**9,
    "T": 10**12,
    "m": 10**6,
    "b": 10**9,
    "mm": 10**6,
}
# What cannot be worked out here, next to a number.
_AFTER = re.compile(
    r"\s?(?:\\(?:log|ln|sin|cos|tan|over|infty|frac|sqrt|pi)(?![a-z])|[√π∞±]|\^\s?[\d({])|[xyzn](?![^\W_])|[.,]\d|\.\.\d"
)
_BEFORE = re.compile(
    r"(?:√\s?[({]?|\\(?:log|ln|sin|cos|frac)\s?[({]?|π\s?|±\s?|[A-Za-z]\s?[-+*/^]\s?|\)\s?[-+*/^]\s?|[^\W\d]\^|[^\W\d][-_]?|\}\s?\{|\d[.,])$"
)
# Between numbers: signs of arithmetic; and what makes two of them a range, a pair or a choice.
_OPERATOR = re.compile(
    r"\s?(?:[-+*/]|[x:](?=\s?\d))\s?(?=[-($\d€£√])|\s(?:plus|minus|times|divided by)\s(?=\d)"
)
_EQUALS = re.compile(r"\s?=\s?(?:[A-Za-z]\s?=\s?)?")
_JOINED = re.compile(
    r"\s?(?:[~±]|\.{2,3}|-{1,2}|—)\s?(?=[$€£]?\d)|\s(?:to|or|bis|oder|ou|или|до)\s(?=[$€£]?\d)|[到至](?=\d)"
)
_LISTED = re.compile(r"\s?(?:,|\band\b|\bund\b|\bet\b|\by\b|&|;)\s?(?:and\s)?(?=[$€£]?-?\d)")
_RANGE_BEFORE = re.compile(
    r"(?P<number>\d[%$€£]?)\s?(?:(?P<sign>[-+*/x:^±~]|\.{2,3}|--)|\s?\b(?P<word>to|or|bis|oder|ou|или|до|"
    r"minus|plus|times|over)\b|(?P<han>到|至))\s?[$€£(]?$"
)
_BETWEEN = re.compile(r"\b(?:between|zwischen|entre|tra|между)\b[^.\n]{0,24}$", re.IGNORECASE)
_RATIO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s?:\s?([1-9]\d{0,8}(?:\.\d{1,9})?)(?![\d:]|\s?:\s?\d)")
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?!\d)")
_DATE = re.compile(r"\d{1,2}/\d{1,2}/$")

_BOXED = re.compile(r"(?:oxed|fbox)\s?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]{0,80}\}){0,160}\}){1,240})\}")
_TAGGED = re.compile(r"<(?:answer|final_?answer)>\s{0,20}([^<]{1,200})", re.IGNORECASE)
_HASHES = re.compile(r"####\s{0,4}")
_LINK = (
    r"[\"')\]]{0,3}(?:\s(?:to|of|for|in|here|then)\b[^\d.\n:=]{0,50}?(?=\s(?:is|was|are|would|will|"
    r"should|must)\b|\s?[:=]))?(?P<link>(?:\s{0,2}(?:is|was|are|would be|will be|should be|"
    r"must be|comes to|equals|ist|lautet|es|est|é|è|là|adalah|это|है|هي|هو|是|为|為|は|은|는)(?![a-zà-ÿ])|"
    r"\s{0,2}[:=>-]))?[:\s\"'(]{0,8}"
)
_ANSWER = re.compile(rf"(?:nswer|NSWER){_LINK}")
_LATIN = ("espuesta", "ntwort", "esposta", "isposta", "ntwoord", "evap", "awaban")
_OTHERS = ("éponse", "dpowied", "твет", "答案", "答え", "正解", "답", "उत्तर", "जवाब", "الإجابة", "الجواب")
_ANSWERS = re.compile(rf"(?:{'|'.join((*_LATIN, *_OTHERS))}){_LINK}")
_RESULT = re.compile(r"(?:^|\n|\s)(?:[Rr]esult|[Ss]olution|RESULT|[Ff]inal|Ans|A)\s?[:=.]\s{0,4}")
_MARKS = ((("nswer", "NSWER"), _ANSWER), ((":", "=", "Ans"), _RESULT), (_LATIN, _ANSWERS))
_ALL_MARKS = (*_MARKS, (_OTHERS, _ANSWERS))
_ABOUT = re.compile(
    r"(?:(?:approximately|about|around|roughly|exactly|simply|just|only|a total of|"
    r"[a-zA-Z]\s?=(?!=)|[~=])\s?){1,3}"
)
_SENTENCE_END = re.compile(r"\.(?!\d)|[\n;!?(]|\b(?:because|since|as)\b")
_DENIED = re.compile(r"\b(?:not|isn't|never|nicht|no|pas|não|non|не)\b|n't\b")
_BEHIND_IT = 40
_OF_NUMBERS = frozenset("0123456789.,/^*+-()$€£¥₹ '’_\u00a0\u2009\u202fxeE")
_LIST_BEFORE = re.compile(r"[(\[]\s?-?\d[^()\[\]]{0,40},\s?$")
_WORD_JOINT = re.compile(r"[^\W\d](?:\^|_|-)$")
_WINDOW = 160
_DIGIT = re.compile(r"\d")
# Of a longer answer the end is read, and the beginning for marks.
_HEAD, _TAIL = 4_000, 12_000
# A text of one number between words: most are, and are read at a fraction of the time.
_PLAIN = re.compile(
    r"(?P<lead>(?>(?:[A-Za-z,:']{1,24}\s{1,2}|[*#]{1,4}\s?|"
    r"[$]?\\boxed(?=\{)){0,60}))(?P<box>\{)?(?P<sign>-?)(?P<money>\$?)"
    r"(?P<whole>\d{1,15}|[1-9]\d{0,2}(?:,\d{3}){1,4})(?:\.(?P<rest>\d{1,15})|/(?P<bottom>[1-9]\d{0,14}))?"
    r"(?P<percent>\s?\\?%)?(?(box)\}[$]?)(?P<tail>(?>(?:\s[A-Za-z,']{2,24}){0,60}))[.*!]{0,3}"
)
# The end of a text, from its last character on; and what could go before its number.
_PLAIN_END = re.compile(
    r"[.!]{0,3}((?>(?:[A-Za-z,']{2,24}\s){0,24}))(?:(\d{1,15})\.)?((?:\d{3},){1,4}\d{0,2}[1-9]|\d{1,15})(\$?)\s?"
    r"(?:=|(?<=\s)([A-Za-z]{2,24})(?![^\W_]))"
)
_CUES = re.compile(
    rf"nswer|NSWER|####|oxed|esult|RESULT|olution|inal|Ans|[\\<:*{{\x80-\U0010ffff]|{'|'.join(_LATIN)}"
)
_JOINED_BY = (
    "to or and by minus negative plus times over per bis oder und ou et y from between half third quarter "
    "hundred thousand million billion trillion not x"
)
_JOINING = frozenset(_JOINED_BY.split())
# Words next to a number that change it.
_SIGNS = ("inus", "egative", "plus", "Plus")
_CHANGED_BY = (
    "percent per pct cent prozent por pour procent hundred half third quarter and or to over times plus "
    "minus divided out x y z n"
)
_CHANGES = frozenset(_CHANGED_BY.split()) | {word.lower() for word in SCALES}
# Behind an expected number: words, and units with a slash or a small power.
_BEHIND = re.compile(r"(?:[^\W\d_]|[ °µ'’().,/$€£¥₹-]|(?<=[^\W\d_])\^?[-]?[23²³])*\s*")
_VARIABLES = frozenset("xyznkabcpqirtuvwefo") - {"t"}


def final_number(text: str) -> Number | None:
    r"""Return the number that an answer ends in, or None without one that can be read.

    The last number after ``####``, in ``\boxed{}`` or ``<answer>``, or after *answer* goes before the last
    number of the text. What is boxed is read whole: of ``\boxed{2\sqrt{3}}`` no number is read.
    """
    text = text.strip()
    if (plain := _PLAIN.fullmatch(text)) is not None and _stands_alone(plain["lead"], plain["tail"]):
        return _plain(plain)
    if (found := _plain_end(text)) is not None:
        return found
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    if "####" in text and (marked := _behind_marks(_HASHES, one_notation(text), linked=False)) is not None:
        return marked[0]
    if ("oxed" in text or "fbox" in text) and (boxes := _BOXED.findall(text)):
        return whole_number(boxes[-1])
    if "oxed{" in text and "oxed{}" not in text:
        # Cut, or nested too deep.
        return whole_number(text.rsplit("oxed{", 1)[1][:200])
    if "<" in text and (tagged := _TAGGED.findall(text)) and (inner := whole_number(tagged[-1])) is not None:
        return inner
    text = one_notation(text)
    marks = (
        _behind_marks(pattern, text)
        for cues, pattern in (_MARKS if text.isascii() else _ALL_MARKS)
        if any(cue in text for cue in cues)
    )
    marked = next((mark for mark in marks if mark is not None), None)
    return _last(text) if marked is None else marked[0]


def whole_number(text: str) -> Number | None:
    """Return the number that a text is, with a unit or words behind it at most; None for anything else.

    ``18``, ``$1,200``, ``3/4``, ``3:4``, ``x = 5``, ``3 + 4 = 7``, ``12 apples``, ``5 km``, ``twenty-one``;
    neither ``3 or 4`` nor ``2x + 1``.
    """
    plain = one_notation(text).strip().rstrip(".").strip().replace("\\", "")
    while len(plain) > 1 and plain[0] == "$" == plain[-1]:
        plain = plain[1:-1].strip()
    if plain.startswith("(") and plain.endswith(")") and plain.count("(") == 1 and "," not in plain:
        plain = plain[1:-1].strip()
    if (about := _ABOUT.match(plain)) is not None:
        plain = plain[about.end() :]
    if "=" in plain and (found := _chained(plain, 0)) is not None and _is_rest(plain[found[1] :]):
        return found[0]
    found = _number_at(plain, 0)
    if found is None:
        worded = worded_number(plain, alone=True)
        return None if worded is None or not _is_rest(plain[worded[2] :]) else Number(worded[0], worded[1])
    return found[0] if _is_rest(plain[found[1] :]) else None


def _is_rest(behind: str) -> bool:
    """Whether what follows a number are words or a unit, and no more of an expression."""
    return (
        _BEHIND.fullmatch(behind) is not None
        and behind.strip() not in _VARIABLES
        and behind.lstrip()[:1] not in {"-", ",", "/", "("}
        and not behind.startswith((" to ", " or ", " and "))
    )


def _stands_alone(lead: str, tail: str) -> bool:
    """Whether the words around a number leave it as it is."""
    return not lead.rstrip().endswith(_SIGNS) and (
        not tail or tail.split(None, 1)[0].rstrip(",'").lower() not in _CHANGES
    )


def _plain(match: re.Match[str]) -> Number:
    _, _, sign, money, whole, rest, bottom, percent, tail = match.groups()
    digits = whole.replace(",", "")
    value: Fraction | int = int(digits) if rest is None else _fraction(digits, rest)
    if bottom is not None:
        value = Fraction(value) / int(bottom)
    return Number(-value if sign else value, percent is not None, money or tail)


def _plain_end(text: str) -> Number | None:
    """Return the last number of a text without marks, where nothing beside it can change it."""
    match = _PLAIN_END.match(text[: -_WINDOW - 1 : -1])
    if match is None or _CUES.search(text) is not None:
        return None
    tail, rest, whole, money, word = match.groups()
    if (word is not None and word[::-1].lower() in _JOINING) or not _stands_alone("", tail[::-1]):
        return None
    digits = whole[::-1].replace(",", "")
    return Number(int(digits) if rest is None else _fraction(digits, rest[::-1]), False, money or tail[::-1])


def _fraction(whole: str, rest: str) -> Fraction | int:
    rest = rest.rstrip("0")
    return Fraction(int(whole + rest), 10 ** len(rest)) if rest else int(whole or "0")


def _behind_marks(pattern: re.Pattern[str], text: str, *, linked: bool = True) -> tuple[Number | None] | None:
    """Return the number behind the last mark that has one, or that what stands there is not one number."""
    for mark in reversed(list(pattern.finditer(text))[-40:]):
        start = mark.end()
        if (about := _ABOUT.match(text, start)) is not None:
            start = about.end()
        while text[start : start + 1] == "$" and not text[start + 1 : start + 2].isdigit():
            start += 1
        if text[start - 1] == "(" and _NUMBER.match(text, start - 1) is not None:
            # (1)/(2)
            start -= 1
        if (found := _chained(text, start)) is not None:
            return (None if _BETWEEN.search(text, max(0, start - 30), start) else found[0],)
        if _NUMBER.match(text, start) is not None:
            # It is part of a range or an expression: no other number is the answer.
            return (None,)
        if (worded := worded_number(text[start : start + 160], alone=True)) is not None:
            return (Number(worded[0], worded[1], text[start + worded[2] : start + worded[2] + _BEHIND_IT]),)
        if linked and mark.groupdict().get("link"):
            end = _SENTENCE_END.search(text, start, start + 400)
            sentence = text[start : start + 400 if end is None else end.start()]
            if not _DENIED.search(sentence) and (last := _last(sentence)) is not None:
                return (last,)
    return None


def _number_at(text: str, start: int) -> tuple[Number, int] | None:
    """Return the one number at a place, and where it ends."""
    if (ratio := _RATIO.match(text, start)) is not None and not _CLOCK.match(text, start):
        return _ratio(text, ratio), ratio.end()
    match = _NUMBER.match(text, start)
    return None if match is None else _read(text, match)


def _ratio(text: str, match: re.Match[str]) -> Number:
    return Number(
        Fraction(match[1]) / Fraction(match[2]), False, text[match.end() : match.end() + _BEHIND_IT]
    )


def _read(text: str, match: re.Match[str]) -> tuple[Number, int] | None:
    value = _value(match)
    end = match.end()
    if value is None or _AFTER.match(text, end) is not None:
        return None
    percent = _PERCENT.match(text, end)
    money = match["money"]
    if percent is not None:
        end = percent.end()
    elif (scale := _SCALE.match(text, end)) is not None:
        factor = _scale(scale, text[end : end + 1] == " ", money is not None)
        if factor is not None:
            value, end = value * factor, scale.end()
    sign = (match["sign"] or match["sign2"] or "")[:1]
    if sign in ("-", "m", "M", "n", "N"):
        value = -value
    unit = "$" if money in ("US$", "USD", "USD ") else (money or "").strip()
    return Number(value, percent is not None, unit or text[end : end + _BEHIND_IT]), end


def _scale(match: re.Match[str], apart: bool, money: bool) -> int | None:
    word = match[1] or match[2]
    factor = SCALES.get(word) or SCALES.get(word.lower()) if len(word) > 1 or not word.isascii() else None
    if factor is None and word in _ABBREVIATED and (money or not (apart or word in ("m", "b", "mm", "T"))):
        factor = _ABBREVIATED[word]
    return factor


def _chained(text: str, start: int) -> tuple[Number, int] | None:
    """Return what a number at a place comes to, 7 of ``3 + 4 = 7``; None for a sum alone, or a range."""
    found = _number_at(text, start)
    open_sum = False
    for _ in range(40):
        if found is None:
            return None
        number, end = found
        if (equals := _EQUALS.match(text, end)) is not None and (
            after := _number_at(text, equals.end())
        ) is not None:
            found, open_sum = after, False
        elif (operator := _OPERATOR.match(text, end)) is not None:
            found, open_sum = _number_at(text, operator.end()), True
        elif _JOINED.match(text, end) or _LISTED.match(text, end):
            return None
        else:
            return None if open_sum else (number, end)
    return None


def _last(text: str) -> Number | None:
    """Return the last number of a text; of one in words where there are no digits."""
    end = limit = len(text)
    for _ in range(8):
        last = _DIGIT.search(text[end - 1 :: -1] if end else "")
        if last is None:
            break
        # The number, and all that it may be a part of.
        end -= last.start()
        start = end
        while start > 0 and text[start - 1] in _OF_NUMBERS and end - start < _WINDOW:
            start -= 1
        while start < end and text[start].isalpha() and text[start - 1 : start].isalpha():
            # The end of a word, and no exponent.
            start += 1
        if text[max(0, start - 8) : start].endswith(_SIGNS):
            start = max(0, start - 8)
        # One more for the bracket of (1)/(2).
        found = next(reversed(list(_NUMBER.finditer(text, start, min(end + 1, limit)))), None)
        if found is None:
            return None
        if not _part_of_a_word(text, found):
            return _last_at(text, found)
        end = limit = found.start()
    if _DIGIT.search(text):
        return None
    behind = text[-2000:]
    worded = worded_number(behind, alone=False)
    return (
        None if worded is None else Number(worded[0], worded[1], behind[worded[2] : worded[2] + _BEHIND_IT])
    )


def _part_of_a_word(text: str, match: re.Match[str]) -> bool:
    """Whether digits belong to a word or a unit: CO2, m^2, COVID-19."""
    start = match.start()
    before = text[max(0, start - 3) : start]
    return (
        bool(before)
        and not match["money"]
        and (
            (before[-1].isalpha() and before[-1].isascii())
            or bool(_WORD_JOINT.search(before))
            or (match["sign"] == "-" and before[-1:].isalpha())
        )
    )


def _last_at(text: str, match: re.Match[str]) -> Number | None:
    start = match.start()
    before = text[max(0, start - 48) : start]
    if match["sign"] and (
        (match["sign"][0] in "-+" and before[-1:].isdigit())
        or (len(match["sign"]) > 1 and before.rstrip()[-1:].isdigit())
    ):
        return None
    ratio = re.search(r"(\d{1,9}(?:\.\d{1,9})?)\s?:\s?$", before)
    if ratio is not None:
        whole = _RATIO.match(text, max(0, start - 48) + ratio.start())
        return None if whole is None or _CLOCK.match(text, whole.start()) else _ratio(text, whole)
    joined = _RANGE_BEFORE.search(before)
    if joined is not None and joined["sign"] == "x" and match["sign"]:
        joined = None
    if (joined is not None and not _DATE.search(before)) or _BETWEEN.search(before):
        return None
    if _BEFORE.search(before) and not match["money"]:
        return None
    found = _read(text, match)
    if found is None or (_LIST_BEFORE.search(before) and text[found[1] : found[1] + 1] in (")", "]")):
        return None
    return found[0]


def _value(match: re.Match[str]) -> Fraction | int | None:
    if (plain := match["plain"]) is not None:
        value = _decimal(plain)
        power = match["ten"] or match["exp"]
        if value is None or power is None:
            return value
        factor = _power(10, power)
        return None if factor is None else value * factor
    if match["base"] is not None:
        return _power(int(match["base"]), match["power"])
    top, bottom = (
        (match["top"], match["bottom"]) if match["top"] is not None else (match["top2"], match["bottom2"])
    )
    above, below = _decimal(top.lstrip("-")), _decimal(bottom.lstrip("-"))
    if above is None or not below:
        return None
    part = Fraction(above) / below
    return int(match["whole"] or 0) + (-part if top.startswith("-") != bottom.startswith("-") else part)


def _power(base: int, exponent: str) -> Fraction | None:
    power = int(exponent)
    return None if base == 0 or abs(power) > _LONGEST else Fraction(base) ** power


def _decimal(text: str) -> Fraction | int | None:
    """Return the value of digits with separators; a comma before other than three digits is a decimal one."""
    if len(text) > _LONGEST:
        return None
    if text.isdigit():
        return int(text)
    text = re.sub(_GAP, "", text)
    last = max(text.rfind(","), text.rfind("."))
    if last < 0:
        return int(text)
    head, mark, tail = text[:last], text[last], text[last + 1 :]
    several = mark in head
    thousands = several or (mark == "," and len(tail) == 3 and head[:1] not in ("", "0") and "." not in head)
    plain = head.replace(",", "").replace(".", "")
    return int(plain + tail) if thousands else _fraction(plain, tail)
