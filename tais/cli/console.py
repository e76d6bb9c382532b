"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from tais.common.text import printable, visible

__all__ = ["say", "say_error", "stderr_console", "tell"]


def say(text: str) -> None:
    """Print one line to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def say_error(text: str) -> None:
    """Print one error line to standard error."""
    say(f"tais: error: {text}")


def tell(*fields: object) -> None:
    """Print one line of fields to standard output, for machines: no name of a directory breaks it."""
    typer.echo("\t".join(visible(str(field)) for field in fields))


def stderr_console() -> Console:
    """Return a console on standard error; without colour where that is no terminal."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())
