"""What a sweep shows: the contrasts of a report by the values of their settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tais.common.text import one_line
from tais.records import EndpointKey
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, change, percent
from tais.verdict.details import listed
from tais.verdict.details.screen import Starts
from tais.verdict.report import ContrastReport, EndpointReport, Report, Verdict

__all__ = ["Cell", "SweepView", "ValueRow", "sweep_tables", "sweep_view"]

_NAME = 40
_ORDER = {Verdict.failed: 0, Verdict.inconclusive: 1, Verdict.passed: 2}


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination and its contrast."""

    values: tuple[str, ...]
    contrast: ContrastReport


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value of one axis and the contrasts in which it stood."""

    axis: str
    value: str
    contrasts: tuple[ContrastReport, ...]

    @property
    def identity(self) -> float | None:
        """Lowest share of identical answers."""
        rates = [c.identity.rate for c in self.contrasts if c.identity.rate is not None]
        return min(rates, default=None)

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict; None where the value stood in no contrast."""
        return min((c.verdict for c in self.contrasts), key=lambda v: _ORDER[v], default=None)

    def endpoint(self, column: EndpointKey) -> EndpointReport | None:
        """Return the endpoint with the largest difference either way."""
        found = [
            e for c in self.contrasts for e in c.endpoints if e.key == column and e.difference is not None
        ]
        return max(found, key=lambda e: abs(e.difference or 0.0), default=None)


@dataclass(frozen=True, slots=True)
class SweepView:
    """A sweep as figures and tables show it."""

    axes: tuple[str, ...]
    columns: tuple[EndpointKey, ...]
    rows: tuple[ValueRow, ...]
    cells: tuple[Cell, ...]


def sweep_view(report: Report) -> SweepView | None:
    """Return the sweep of a report, None where it has none.

    Parameters
    ----------
    report
        A decided report.
    """
    swept = report.facts.sweep
    if swept is None:
        return None
    starts = {seen.arm: [start.arm for start in seen.starts] for seen in listed(report, Starts)}
    first = {start: arm for arm, found in starts.items() for start in found}
    pairs: dict[tuple[str, str], ContrastReport] = {}
    # Of several starts the worst stands for the arm.
    for contrast in sorted(report.contrasts, key=lambda c: _ORDER[c.verdict]):
        arm = first.get(contrast.candidate) or contrast.candidate
        pairs.setdefault((contrast.reference, arm), contrast)
    cells = tuple(
        Cell(cell.values, pairs[cell.reference, cell.candidate])
        for cell in swept.cells
        if (cell.reference, cell.candidate) in pairs and len(cell.values) == len(swept.axes)
    )
    if not cells:
        return None
    columns = dict.fromkeys(e.key for cell in cells for e in cell.contrast.endpoints)
    rows = tuple(
        ValueRow(axis.name, value, tuple(c.contrast for c in cells if c.values[index] == value))
        for index, axis in enumerate(swept.axes)
        for value in axis.values
    )
    return SweepView(tuple(axis.name for axis in swept.axes), tuple(columns), rows, cells)


def sweep_tables(report: Report) -> list[WordTable]:
    """Return the sweep by value and by combination; empty where there is none."""
    view = sweep_view(report)
    if view is None:
        return []
    ends = tuple(one_line(f"{column.label} / {column.scorer}", _NAME) for column in view.columns)
    return [
        WordTable(
            "Sweep by value",
            ("setting", "value", "contrasts", "verdict", "identical, lowest", *ends),
            tuple(_by_value(view)),
        ),
        WordTable(
            "Sweep by combination",
            (*(one_line(axis, _NAME) for axis in view.axes), "verdict", "identical", *ends),
            tuple(_by_cell(view)),
        ),
    ]


def _by_value(view: SweepView) -> Iterator[tuple[str, ...]]:
    for row in view.rows:
        verdict = NONE if row.verdict is None else row.verdict.value
        yield (
            one_line(row.axis, _NAME),
            one_line(row.value, _NAME),
            str(len(row.contrasts)),
            verdict,
            percent(row.identity, 2),
            *(_difference(row.endpoint(column)) for column in view.columns),
        )


def _by_cell(view: SweepView) -> Iterator[tuple[str, ...]]:
    for cell in view.cells:
        own = {e.key: e for e in cell.contrast.endpoints}
        yield (
            *(one_line(value, _NAME) for value in cell.values),
            cell.contrast.verdict.value,
            percent(cell.contrast.identity.rate, 2),
            *(_difference(own.get(column)) for column in view.columns),
        )


def _difference(endpoint: EndpointReport | None) -> str:
    return NONE if endpoint is None else change(endpoint)


def shown_columns(view: SweepView, most: int) -> Sequence[EndpointKey]:
    """Return the columns that a figure has room for: those with the largest differences."""

    def size(column: EndpointKey) -> float:
        found = [row.endpoint(column) for row in view.rows]
        return max((abs(e.difference or 0.0) for e in found if e is not None), default=0.0)

    kept = set(sorted(view.columns, key=lambda column: -size(column))[:most])
    return [column for column in view.columns if column in kept]
