"""Standard error for people: plain when it is no terminal, and never with an answer's control characters."""

from __future__ import annotations

import sys
from typing import TextIO

import typer
from rich.console import Console

from tais.common.text import printable, visible

__all__ = ["plain_console", "say", "say_error", "stderr_console", "tell"]


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
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=not sys.stderr.isatty())


def plain_console(stream: TextIO | None = None, width: int | None = None) -> Console:
    """Return a console that takes text as it is: brackets, as in an extra to install, are no markup.

    Parameters
    ----------
    stream
        Where it writes, without colour; standard output when None.
    width
        Columns; those of the terminal when None.
    """
    if stream is None:
        return Console(highlight=False, markup=False, width=width)
    return Console(file=stream, width=width, highlight=False, markup=False, color_system=None)
