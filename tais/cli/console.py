"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tais.common.text import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["say", "say_error", "stderr_console"]


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
