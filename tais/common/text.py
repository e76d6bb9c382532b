"""Foreign text made harmless to look at: nothing in it acts, hides or reorders.

Answers, prompts, item ids and names come from models and data sets. Every renderer passes them through
here: control characters, bidirectional overrides, zero-width and unassigned characters and lone
surrogates become visible names such as ``⟨U+202E⟩``, which are plain text in every format.
"""

from __future__ import annotations

import json
import re
import unicodedata

__all__ = [
    "code_point",
    "first_line",
    "is_hidden",
    "json_line",
    "one_line",
    "printable",
    "spreadsheet_cell",
    "visible",
    "without_hidden",
    "words",
    "xml_text",
]

# Controls, formats (bidirectional and zero-width among them), surrogates, private use, unassigned, and the
# line and paragraph separators, which break lines where nobody expects it.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_LAYOUT = "\n\t"
# All that a terminal, a browser or a runner may take for the end of a line, and the tabulators.
_BREAKS = frozenset("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029")
# Joiners, without which Hindi and Persian are misspelt.
_JOINERS = "\u200c\u200d"
# A spreadsheet takes what begins like this for a formula; the wide forms too, in some languages.
_FORMULA = tuple("=+-@|%＝＋－＠")
_COMMAND = re.compile(r"(?<!\S)::")


def visible(text: str, *, keep_layout: bool = False) -> str:
    r"""Return `text` with every hidden character named.

    Parameters
    ----------
    text
        Any text.
    keep_layout
        Leave ``\n`` and ``\t`` as they are.
    """
    if text.isprintable():
        return text
    kept = _LAYOUT if keep_layout else ""
    return "".join(c if c in kept or not is_hidden(c) else f"⟨{code_point(c)}⟩" for c in text)


def one_line(text: str, limit: int = 160) -> str:
    """Return `text` on one line, at most `limit` characters of it, hidden characters named."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return visible(shown.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def is_hidden(character: str) -> bool:
    """Return whether a character cannot be seen or changes how others are seen."""
    return unicodedata.category(character) in _HIDDEN


def code_point(character: str) -> str:
    """Return the name of a character by number, ``U+202E``."""
    return f"U+{ord(character):04X}"


def printable(text: str) -> str:
    """Return `text` on one line with nothing that a terminal, or a CI that keeps its log, would obey."""
    # Runners take "##[" anywhere and "::" in front of a line for a command. Lines are wrapped at blanks.
    return _COMMAND.sub(": :", without_hidden(text).replace("##[", "# #["))


def json_line(value: object) -> str:
    """Return a value as one line of JSON: letters of every script as they are, hidden characters escaped."""
    text = json.dumps(value, ensure_ascii=False, default=str).replace("##[", "#\\u0023[")
    return "".join(
        json.dumps(c)[1:-1] if is_hidden(c) and c not in _JOINERS and not c.isascii() else c for c in text
    )


def without_hidden(text: str) -> str:
    """Return `text` on one line, its hidden characters left out; a line break becomes a blank."""
    return "".join(" " if c in _BREAKS else "" if is_hidden(c) else c for c in text)


def xml_text(text: str, limit: int = 200) -> str:
    """Return text that XML 1.0 can hold: hidden characters, which it forbids or mangles, are named."""
    return one_line(text, limit)


def words(text: str) -> str:
    """Return the words of `text` with one blank between them; what cannot be printed is a blank, too."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, its class where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def spreadsheet_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, also behind blanks."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
