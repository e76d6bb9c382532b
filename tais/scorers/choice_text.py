r"""An answer without what surrounds its words: Markdown, HTML, LaTeX, and characters of full width.

What is left is read by :mod:`tais.scorers.choice`, whose patterns then need
to know one way to write each thing.
"""

from __future__ import annotations

import re

__all__ = ["bare_text"]

# Full-width forms, and the marks of other scripts that mean the same as one of ASCII.
_SAME = {0xFF01 + place: 0x21 + place for place in range(94)} | str.maketrans(
    {
        **dict.fromkeys("、،，", ","), **dict.fromkeys("。।．۔", "."), "؟": "?", "؛": ";", "：": ":",
        **dict.fromkeys("「『《【〈〔", "("), **dict.fromkeys("」』》】〉〕", ")"),
        **dict.fromkeys("“”„«»‟", '"'), **dict.fromkeys("‘’‚‹›", "'"), "…": "...",
        **dict.fromkeys("–—−‐‑", "-"), **dict.fromkeys("→⇒➡⟶", ">"), "•": "*",
        **dict.fromkeys("\u00a0\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200e\u200f\ufeff\ufe0f", ""),
        **dict.fromkeys("✓✔✅☑", " (correct) "), **dict.fromkeys("✗✘❌✖", " (wrong) "),
    }
)  # fmt: skip
# All runs are bounded, here and in what reads the text: an answer can be thousands of blanks or braces.
_STYLED = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|bb|sf|tt|it)|emph|underline|operatorname|boldsymbol|bm|"
    r"mbox|hbox|fbox)"
    r"\s?\{([^{}]{0,200})\}"
)
_SPACING = re.compile(r"\\[()\[\] ,;:!]|\\q?quad\b|\\(?:left|right)(?![a-z])|(?<!\\)\$")
_TAGS = re.compile(
    r"<(?:/?(?:b|i|u|em|strong|p|span|code|mark|div|h[1-6]|li|ul|ol|br|center|font|big|small|pre|html|"
    r"body|td|tr)"
    r"(?:\s[^<>]{0,80})?/?|\|(?!begin_of_box)[^<>|\s]{1,40}\||/s)>",
    re.IGNORECASE,
)
_IN_ANGLES = re.compile(r"<([A-Za-z])>")
_EMPHASIS = re.compile(r"\*+|`{1,3}|~+|(?<![A-Za-z0-9])_{1,3}|_{1,3}(?![A-Za-z0-9])")
_LINE_MARK = re.compile(
    r"^[ \t]{0,3}(?:(?:[>#]{1,6}|[-+])[ \t]{1,3}|\d{1,2}[.)][ \t]{1,3}(?=\(?[A-Z][).]?\s{0,3}$))",
    re.MULTILINE,
)
# What a base model writes after its answer: the next question of its own.
_NEXT_QUESTION = re.compile(r"\n\s{0,4}(?:Question|Q|Human|User)\s?\d{0,3}\s?[:.]")


def bare_text(text: str) -> str:
    """Return the words of an answer, without what surrounds them."""
    if not text.isascii():
        text = text.translate(_SAME)
    if "\\" in text or "$" in text:
        # Twice: \textbf{\text{C}}
        text = _STYLED.sub(r" \1 ", _STYLED.sub(r"\1", text)) if "{" in text else text
        text = _SPACING.sub(" ", text)
    if "<" in text:
        text = _IN_ANGLES.sub(r"(\1)", _TAGS.sub("", text))
    if "*" in text or "`" in text or "_" in text or "~" in text:
        text = _EMPHASIS.sub("", text)
    text = text.strip()
    if text[:1] in _MARKS or "\n" in text:
        text = _LINE_MARK.sub("", text)
        if (following := _NEXT_QUESTION.search(text)) is not None and following.start():
            text = text[: following.start()]
    return text


_MARKS = frozenset(">#-+")
