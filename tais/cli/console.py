"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["printable", "say", "say_error", "stderr_console"]

# Controls, formats (bidirectional overrides among them), surrogates, private use, unassigned.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def printable(text: str) -> str:
    """Return `text` on one line without characters that a terminal would obey."""
    kept = (" " if c in "\n\r\t" else "" if unicodedata.category(c) in _HIDDEN else c for c in text)
    return "".join(kept)


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
