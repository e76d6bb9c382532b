"""The table of a drill for people: a terminal, or a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from tais.cli.console import stderr_console
from tais.lab.drill.faults import CHECKS, Check
from tais.lab.drill.seen import Seen
from tais.lab.drill.table import DrillTable, Row

__all__ = ["markdown", "print_drill", "summary"]

_FAULTS = ("arm", "fault", "severity", "acted", *CHECKS, "verdict")
_LOSSLESS = ("lossless configuration", "identical", "accepted", "flagged", "verdict")


def summary(table: DrillTable) -> list[str]:
    """Return what the drill came to, in lines."""
    found = table.summary()
    lines = [
        f"{found['caught']} of {found['faults']} faults are seen by a check; "
        f"{found['gross_caught_by_all']} of {found['gross']} gross ones by every check that must see them",
    ]
    if found["lossless"]:
        lines.append(
            f"{found['lossless_flagged']} of {found['lossless']} lossless configurations are flagged "
            f"(at most {100 * (found['false_alarm_upper'] or 0.0):.1f} % at 95 %)"
        )
    lines += [f"{row.arm}: missed by {', '.join(row.missed)}" for row in table.faults if row.missed]
    lines += [
        f"{row.arm}: flagged by {', '.join(row.false_alarms)}" for row in table.rows if row.false_alarms
    ]
    return lines


def _fault_cells(row: Row) -> Iterator[str]:
    yield from (row.arm, str(row.fault), str(row.severity), f"{row.activations or 0:,}")
    by_check = {seen.check: seen for seen in row.seen}
    for check in CHECKS:
        yield _cell(row, by_check[check])
    yield row.verdict


def _cell(row: Row, seen: Seen) -> str:
    """Return flagged answers and the n needed; what must be seen is marked."""
    must = "*" if seen.check in row.must else ""
    if not seen.n:
        return "n/a"
    if not seen.caught:
        return f"missed{must}" if must else "-"
    flagged = f"{seen.flagged}/{seen.n}" if seen.flagged is not None else "yes"
    return f"{flagged}, n {seen.needed}{must}" if seen.needed else f"{flagged}{must}"


def _lossless_cells(row: Row) -> Iterator[str]:
    identity = _of(row, "identity")
    yield row.arm
    yield f"{identity.n - (identity.flagged or 0)}/{identity.n}"
    yield (
        f"{row.acceptance:.1%}"
        if row.acceptance is not None
        else "-"
        if row.applied is None
        else "none drafted"
    )
    yield ", ".join(row.false_alarms) or "-"
    yield row.verdict


def _of(row: Row, check: Check) -> Seen:
    return next(seen for seen in row.seen if seen.check == check)


def print_drill(table: DrillTable) -> None:
    """Print to standard error."""
    console = stderr_console()
    if not console.is_terminal:
        console.width = 160
    if table.faults:
        console.print(_rich(_FAULTS, [list(_fault_cells(row)) for row in table.faults]))
    if table.lossless:
        console.print(_rich(_LOSSLESS, [list(_lossless_cells(row)) for row in table.lossless]))
    for line in [*summary(table), "DRILL PASSED" if table.passed else "DRILL FAILED"]:
        console.print(line)


def _rich(columns: tuple[str, ...], rows: list[list[str]]) -> Table:
    table = Table(*columns, box=SIMPLE, pad_edge=True, show_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def markdown(table: DrillTable) -> str:
    """Return both tables and the summary as Markdown."""
    parts = []
    faults = [list(_fault_cells(row)) for row in table.faults]
    lossless = [list(_lossless_cells(row)) for row in table.lossless]
    for columns, rows in ((_FAULTS, faults), (_LOSSLESS, lossless)):
        if rows:
            lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(r) for r in rows)]
            parts.append("".join(f"| {line} |\n" for line in lines))
    said = "; ".join(summary(table))
    return "\n".join([*parts, f"{said[0].upper()}{said[1:]}.\n"])
