"""The heat map of a sweep: values of settings against differences of endpoints and identity.

Colour says how large a difference is against its margin, and which way it goes; each cell says the same in
figures, so nothing rests on colour alone. The two hues are far apart for colour-blind readers, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tais.common.text import one_line
from tais.records import EndpointKey
from tais.report.figures.canvas import WIDTH, Drawn
from tais.report.figures.svg import COLOURS
from tais.report.tables.sweep import SweepView, ValueRow, shown_columns, sweep_view
from tais.report.wording import NONE, change, is_ratio, signed, unsafe_ratio
from tais.verdict.report import EndpointReport, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat"]

_MOST_COLUMNS = 6
_MOST_ROWS = 40
_LEFT = 1.25
"""Inches for the names of settings and values."""
_CELL = 0.27
_HEADER = 0.9
_FOOT = 0.1
# A share of answers that differ at which the colour is full.
_MANY = 0.1


def heat(report: Report) -> Iterator[Drawn]:
    """Draw the sweep of a report, where it has one."""
    view = sweep_view(report)
    if view is None:
        return
    columns, rows = shown_columns(view, _MOST_COLUMNS), view.rows[:_MOST_ROWS]
    figure, axes = _frame(len(rows), len(columns) + 1)
    _header(axes, columns)
    before = ""
    for y, row in enumerate(rows):
        if row.axis != before:
            axes.axhline(y, color=COLOURS["muted"], linewidth=0.8)
            before = row.axis
        name = one_line(f"{row.axis} {row.value}", 20)
        axes.text(-0.08, y + 0.5, name, ha="right", va="center", fontsize=9)
        _identity(axes, y, row)
        for x, column in enumerate(columns, start=1):
            _difference(axes, x, y, row.endpoint(column))
    yield Drawn(figure, "Sweep", _caption(view, len(columns)), _words(rows, columns))


def _frame(rows: int, columns: int) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    height = _HEADER + rows * _CELL + _FOOT
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes(
        (_LEFT / WIDTH, _FOOT / height, (WIDTH - _LEFT - 0.45) / WIDTH, rows * _CELL / height)
    )
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_axis_off()
    return figure, axes


def _header(axes: Axes, columns: Sequence[EndpointKey]) -> None:
    names = ["identical", *(one_line(column.label, 18) for column in columns)]
    for x, name in enumerate(names):
        axes.text(
            x + 0.4, -0.25, name, rotation=30, rotation_mode="anchor", ha="left", va="bottom", fontsize=9
        )


def _cell(axes: Axes, x: int, y: int, text: str, colour: str, strength: float) -> None:
    """Draw one cell; at half of full strength the text is still as legible as on the page."""
    from matplotlib.patches import Rectangle

    box = Rectangle((x + 0.03, y + 0.05), 0.94, 0.9, linewidth=0)
    box.set_facecolor(colour)
    box.set_alpha(0.06 + 0.5 * min(1.0, strength))
    axes.add_patch(box)
    axes.text(x + 0.5, y + 0.52, text, ha="center", va="center", fontsize=9)


def _identity(axes: Axes, y: int, row: ValueRow) -> None:
    rate = row.identity
    if rate is None:
        _cell(axes, 0, y, NONE, COLOURS["band"], 0.0)
        return
    # Floor, not round: one answer that differs must not read as 100.
    text = f"{int(1000 * rate) / 10:.1f}".removesuffix(".0")
    _cell(axes, 0, y, text, COLOURS["s4"], (1 - rate) / _MANY)


def _difference(axes: Axes, x: int, y: int, endpoint: EndpointReport | None) -> None:
    if endpoint is None or endpoint.difference is None:
        _cell(axes, x, y, NONE, COLOURS["band"], 0.0)
        return
    margin = endpoint.tost.margin if endpoint.tost else 0.03
    colour = COLOURS["s2"] if endpoint.difference < 0 else COLOURS["s1"]
    text, strength = signed(100 * endpoint.difference, 1), abs(endpoint.difference) / margin
    if is_ratio(endpoint):
        ratio = unsafe_ratio(endpoint)
        text = f"×{NONE if ratio is None else f'{ratio:.3g}'}"
        # Where one arm has no such outcome, nothing is larger than the step to the other's.
        strength = abs(math.log(ratio)) / math.log1p(margin) if ratio else float(endpoint.difference != 0)
    _cell(axes, x, y, text, colour if endpoint.difference else COLOURS["band"], strength)


def _caption(view: SweepView, shown: int) -> str:
    more = len(view.columns) - shown
    left_out = f" {more} more endpoints stand in the table." if more > 0 else ""
    rows = len(view.rows) - _MOST_ROWS
    left_out += f" {rows} more values stand in the table." if rows > 0 else ""
    return (
        f"{len(view.cells)} contrasts by the values of their settings. Identical: lowest share of identical "
        "answers, in percent. Others: the largest difference of rates, candidate − reference, in percentage "
        "points, or (×) the ratio of the rates of outcomes that are not as expected; orange is for the "
        "worse, blue for the better, full at the margin (identical: at 10 % "
        f"changed).{left_out}"
    )


def _words(rows: Sequence[ValueRow], columns: Sequence[EndpointKey]) -> str:
    """Say every row of the figure."""
    said = []
    for row in rows:
        cells = [] if row.identity is None else [f"{100 * row.identity:.2f} % identical"]
        for column in columns:
            endpoint = row.endpoint(column)
            if endpoint is not None:
                cells.append(f"{one_line(column.label, 40)} {change(endpoint)}")
        said.append(
            f"{one_line(row.axis, 40)} {one_line(row.value, 40)}: {', '.join(cells) or 'no contrast'}"
        )
    return "; ".join(said)
