r"""A text with its numbers in one notation: digits of other scripts, LaTeX, superscripts, Markdown.

``٤٢``, ``\dfrac{1}{2}``, ``10⁴``, ``2½`` and ``**42**`` become ``42``, ``(1)/(2)``, ``10^4``, ``2 1/2`` and
``42``, so that one pattern reads them all (:mod:`tais.scorers.numbers`).
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["one_notation"]

# Zeros of full width, Arabic, Persian, Indian scripts, Thai, Lao, Tibetan, Burmese and Khmer (Unicode, Nd).
_ZEROS = (
    0xFF10, 0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0,
    0xF20, 0x1040, 0x17E0,
)  # fmt: skip
_SAME = {zero + place: ord("0") + place for zero in _ZEROS for place in range(10)} | str.maketrans(
    {
        "٫": ".", "．": ".", "。": ". ", "٬": ",", "，": ",", "、": ", ", "：": ":", "（": "(", "）": ")",
        "％": "%", "٪": "%", "＝": "=", "＋": "+", "＄": "$", "／": "/", "⁄": "/", "∕": "/", "÷": "/",
        **dict.fromkeys("−–‒‐‑－﹣", "-"), **dict.fromkeys("×⋅∙✕·", "*"), **dict.fromkeys("≈≃≅→⇒", "="),
        **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("\u200b\u200e\u200f\u2061\ufeff", ""),
    }
)  # fmt: skip
_RAISED = re.compile("([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})")
_LOWERED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_STYLED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|bb|sf|tt|it|normal)|emph|operatorname|boldsymbol|bm|mbox|"
    r"hbox|underline)"
    r"\s?\{([^{}]{0,200})\}"
)
_INNER = r"(?:\{([^{}]{1,80})\}|(\d))"
_FRACTION = re.compile(rf"\\[dtc]?frac\s{{0,3}}{_INNER}\s{{0,3}}{_INNER}")
# In this order: thousands first, then what is a blank, then what stands for a character.
_SPELLED = (
    (re.compile(r",?\\!"), ","),
    (re.compile(r"(?<=\d),?\\[,;:](?=\d{3})"), " "),
    (re.compile(r"\\(?:left|right|big|Big|displaystyle|quad|qquad)(?![a-z])|\\[()\[\] ,;:]|~"), " "),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-z])"), "*"),
    (re.compile(r"\\div(?![a-z])"), "/"),
    (re.compile(r"\\(?:approx|simeq|to|rightarrow|Rightarrow|implies)(?![a-z])"), "="),
    (re.compile(r"\\pm(?![a-z])"), "±"),
    (re.compile(r"\\pi(?![a-z])"), "π"),
    (re.compile(r"\\sqrt(?![a-z])"), "√"),
    (re.compile(r"\^\s?(?:\{\s?\\circ\s?\}|\\circ)|\\degree"), "°"),
    (re.compile(r"\\([%$€£&#])"), r"\1"),
)
# A star multiplies between numbers, with blanks on both sides or on none; all others are emphasis.
_STARS = re.compile(r"(?<=[\d)])(\*{1,2})(?=[\d(])|(?<=[\d)]\s)(\*{1,2})(?=\s[\d(])|\*+")
_RAISED_TAG = re.compile(r"<sup>\s?([-+]?\d{1,3})\s?</sup>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:b|i|em|strong|p|span|u|code|sup|sub|div|br|h\d)(?:\s[^<>]{0,80})?/?>|<\|[^<>|\s]{1,40}\|>",
    re.IGNORECASE,
)
_BRACED = re.compile(
    r"\{(-?\d{1,40}(?:[.,]\d{1,40})?)\}(?=\s?/)|(?<=/)\{(\d{1,40})\}|\^\s?\{\s?([-+]?\d{1,3})\s?\}"
)


def one_notation(text: str) -> str:
    """Return a text with its numbers in ASCII, as a person would type them."""
    if not text.isascii():
        text = _VULGAR.sub(_vulgar, _RAISED.sub(_raised, text)).translate(_SAME)
    if "\\" in text or "{" in text:
        text = _latex(text)
    if "<" in text:
        text = _TAG.sub("", _RAISED_TAG.sub(r"^\1", text))
    if "*" in text:
        text = _STARS.sub(lambda star: star[1] or star[2] or "", text)
    return text.replace("`", "") if "`" in text else text


def _vulgar(match: re.Match[str]) -> str:
    # NFKC writes "1⁄2", with a sign of its own for the line.
    return " " + unicodedata.normalize("NFKC", match[0]).replace("\u2044", "/")


def _raised(match: re.Match[str]) -> str:
    return "^" + match[1].translate(_LOWERED)


def _latex(text: str) -> str:
    text = text.replace("{,}", ",")
    if "\\" in text:
        if "{" in text:
            text = _STYLED.sub(r" \1 ", _STYLED.sub(r"\1", text))
        for pattern, plain in _SPELLED:
            text = pattern.sub(plain, text)
        if "frac" in text:
            text = _FRACTION.sub(_fraction, text)
    return _BRACED.sub(lambda m: m[1] or m[2] or f"^{m[3]}", text) if "{" in text else text


def _fraction(match: re.Match[str]) -> str:
    top, bottom = match[1] or match[2], match[3] or match[4]
    before = match.string[match.start() - 1 : match.start()]
    return f"{' ' if before.isdigit() else ''}({top.strip()})/({bottom.strip()})"
