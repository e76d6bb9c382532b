"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["printable", "say", "say_error", "stderr_console"]

# Controls, formats (bidirectional overrides among them), surrogates, private use, unassigned.
_COMMAND = re.compile(r"(?<!\S)::")
_BREAKS = "\n\r\t\u2028\u2029"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def printable(text: str) -> str:
    """Return `text` on one line with nothing that a terminal, or a CI that keeps its log, would obey."""
    kept = (" " if c in _BREAKS else "" if unicodedata.category(c) in _HIDDEN else c for c in text)
    # Runners take "##[" anywhere and "::" in front of a line for a command. Lines are wrapped at blanks.
    return _COMMAND.sub(": :", "".join(kept).replace("##[", "# #["))


def say(text: str) -> None:
    """Print one line to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def say_error(text: str) -> None:
    """Print one error line to standard error."""
    say(f"tais: error: {text}")


def stderr_console() -> Console:
    """Return a console on standard error; without colour where that is no terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
