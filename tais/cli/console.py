"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import sys

from rich.console import Console

from tais.common.text import printable

__all__ = ["say", "say_error", "stderr_console"]


def say(text: str) -> None:
    """Print one line to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def say_error(text: str) -> None:
    """Print one error line to standard error."""
    say(f"tais: error: {text}")


def stderr_console() -> Console:
    """Return a console on standard error; without colour where that is no terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
