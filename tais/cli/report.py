"""``tais report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.cli.options import RunDirArgument
from tais.cli.views.report import render_text
from tais.common.files import write_atomic
from tais.report.render import render
from tais.report.renderer import with_renderer
from tais.report.schema import SCHEMA_FILE

__all__ = ["Format", "report"]


class Format(StrEnum):
    """How a report is shown."""

    terminal = "terminal"
    html = "html"
    md = "md"
    json = "json"
    junit = "junit"


def _print_schema(value: bool) -> None:
    if value:
        typer.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)
        raise typer.Exit


def report(
    run_dir: RunDirArgument,
    format: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.terminal,
    redact: Annotated[
        bool, typer.Option("--redact", help="Leave prompts and answers out; ids and digests stay.")
    ] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_print_schema,
            is_eager=True,
            help="Print the JSON Schema of report.json and exit.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File to write to instead of printing.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="On a terminal: every contrast, endpoint and note.")
    ] = False,
) -> None:
    """Show the decision of a run, recomputed from its samples. Exit code 0 whatever the verdict.

    Example: [bold]tais report reports/demo/20260101T120000000000Z --format json[/bold]
    """
    # Loads pyarrow, which help does without.
    from tais.analysis.analyse import recompute
    from tais.rundir.lock import read_lock
    from tais.scoring.locked_scorers import scorers_changed

    lock = read_lock(run_dir)
    changed = lock.rules_changed or scorers_changed(lock)
    if changed:
        say(f"note: {changed}: the verdict shown may be another than the run's own")
    decided = with_renderer(recompute(run_dir))
    if format is Format.terminal:
        text = render_text(decided, run_dir, verbose=verbose)
    else:
        text = render(decided, format.value, redact=redact)
    if out is not None:
        write_atomic(out, text.encode())
    else:
        typer.echo(text, nl=False)
