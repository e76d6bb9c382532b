"""``tais runs``, ``tais open`` and ``tais view``: find a run again, and look at many."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tais.cli.console import plain_console, say, tell
from tais.cli.options import RunDirArgument
from tais.errors import Place, UsageError

if TYPE_CHECKING:
    from tais.runs.listing import ListedRun

__all__ = ["open_page", "runs", "view"]

FolderArgument = Annotated[Path, typer.Argument(envvar="TAIS_OUT", help="Folder with runs in it or below.")]
COLUMNS = ("date", "name", "verdict", "contrasts", "key", "run directory")


def runs(folder: FolderArgument = Path("reports")) -> None:
    """List the runs of a folder, the newest last.

    One line per run, separated by tabs where standard output is no terminal: date, name, verdict (else why
    there is none), number of contrasts, key that its signature names (nobody checked it), run directory.

    Example: [bold]tais runs reports[/bold]
    """
    from tais.runs.listing import list_runs

    rows = [_row(run) for run in list_runs(folder)]
    if not rows:
        say(f"no run in {folder}")
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        for row in rows:
            tell(*row)


def _row(run: ListedRun) -> tuple[str, ...]:
    date = "-" if run.date is None else f"{run.date:%Y-%m-%d %H:%M}"
    key = run.key[:16] if run.key else "signed" if run.signed else "unsigned"
    contrasts = "-" if run.contrasts is None else str(run.contrasts)
    return date, run.name or "-", run.verdict or run.problem or "-", contrasts, key, run.path


def _print_table(rows: list[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from tais.common.text import printable

    table = Table(box=SIMPLE, show_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    plain_console().print(table)


def open_page(
    run_dir: RunDirArgument = Path("latest"),
    print_only: Annotated[
        bool, typer.Option("--print", help="Print where the page is, and open nothing.")
    ] = False,
) -> None:
    """Open the page of a run in a browser; where there is none, print where the page is.

    Example: [bold]tais open latest --print[/bold]
    """
    page = (run_dir / "report.html").resolve()
    if not page.is_file():
        raise UsageError(
            "this run has no page",
            place=Place(str(run_dir)),
            remedy="Make one: tais report RUN_DIR --format html",
        )
    if not print_only:
        # What a browser says of itself is no word of ours.
        opened = webbrowser.open(page.as_uri())
        say(f"opened {page}" if opened else "no browser was found here; the page is this file:")
    tell(page)


def view(
    folder: FolderArgument = Path("reports"),
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write. Default: index.html in the folder.")
    ] = None,
) -> None:
    """Write one page over all runs of a folder: verdicts, how rates moved from run to run, links.

    The page is a file that loads nothing; it is written anew each time.

    Example: [bold]tais view reports[/bold]
    """
    # Loads pydantic and matplotlib, which help does without.
    from tais.common.files import write_atomic
    from tais.report.html.overview import render_overview
    from tais.runs.overview import overview

    target = out or folder / "index.html"
    found = overview(folder, target.parent)
    write_atomic(target, render_overview(found).encode())
    say(f"{len(found.runs)} runs")
    tell(target)
