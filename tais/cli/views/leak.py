"""A leak report on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from tais.cli.console import stderr_console
from tais.common.text import printable
from tais.lab.leak.report import LeakReport
from tais.lab.leak.wording import COLUMNS, SAYS_NOT, headline, rows, utility_rows

__all__ = ["print_leak"]

_WIDTH = 120
_UTILITY = ("layer", "change", "endpoint", "rates", "difference", "as a screen")


def print_leak(report: LeakReport, out: Path | None = None) -> None:
    """Print the report to standard error.

    Parameters
    ----------
    report
        What was found.
    out
        Where the page lies, if anywhere.
    """
    console = stderr_console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(Text(printable(f"{report.model}: {headline(report)}"), style="bold"))
    console.print(_table(COLUMNS, rows(report)))
    changed = list(utility_rows(report))
    if changed:
        console.print(_table(_UTILITY, changed))
    if report.draft is not None:
        said = f"layers of {report.draft['name']} ({report.draft['method']}): {report.draft['source']}"
        console.print(Text(printable(said)))
    for shard in report.shards:
        console.print(
            f"host {shard.host} with {shard.tokens} tokens: 10^{shard.log10_candidates:.1f} candidates to try"
        )
    for line in SAYS_NOT:
        console.print(Text(line, style="dim"))
    if out is not None:
        console.print(Text(printable(f"report: {out / 'leak.html'}")))


def _table(columns: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> Table:
    table = Table(*columns, box=SIMPLE, show_edge=False)
    for row in lines:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
