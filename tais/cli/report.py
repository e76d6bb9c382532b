"""``tais report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Format", "report"]


class Format(StrEnum):
    """How a report is shown."""

    terminal = "terminal"
    json = "json"


def report(
    run_dir: Annotated[Path, typer.Argument(help="Run directory, as `tais run` prints it.")],
    format: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.terminal,
    out: Annotated[Path | None, typer.Option("--out", help="File to write to instead of printing.")] = None,
) -> None:
    """Show the decision of a run, recomputed from its samples. Exit code 0 whatever the verdict.

    Example: [bold]tais report reports/demo/20260101T120000000000Z --format json[/bold]
    """
    from tais.analysis import recompute
    from tais.files import write_atomic
    from tais.report.terminal import render_text

    decided = recompute(run_dir)
    text = decided.to_json() if format is Format.json else render_text(decided, run_dir)
    if out is not None:
        write_atomic(out, text.encode())
    else:
        typer.echo(text, nl=False)
