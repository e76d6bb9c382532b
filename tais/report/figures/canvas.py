"""What the figures share: sizes, marks and the frame of a figure of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tais.common.text import one_line
from tais.report.figures.svg import COLOURS
from tais.verdict.report import ContrastReport, EndpointReport, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "LINES",
    "MARKS",
    "MOST_ROWS",
    "SERIES",
    "Drawn",
    "Row",
    "canvas",
    "draw_rows",
    "label_of",
    "legend_above",
    "row_canvas",
]

WIDTH = 5.4
"""Inches: 389 SVG units, near the width of a phone, so that text stays legible there."""
MOST_ROWS = 40
_ROW = 0.46
_HEADER = 0.34
_FRAME = 0.62

# Shape says what colour says.
MARKS = {Verdict.passed: "o", Verdict.failed: "X", Verdict.inconclusive: "D"}
SERIES = [COLOURS[f"s{i}"] for i in range(1, 7)]
LINES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure with its words."""

    figure: Figure
    title: str
    caption: str
    """How to read it."""
    words: str
    """What it shows, for those who do not see it."""
    flat: str = ""
    """Why it shows next to nothing and is folded; empty where it is worth its room."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a figure of rows: what stands above it on the left and on the right."""

    label: str
    value: str = ""
    header: bool = False


def label_of(contrast: ContrastReport, endpoint: EndpointReport | None = None, limit: int = 44) -> str:
    """Return a short name that is safe in a figure."""
    name = f"{contrast.candidate} against {contrast.reference}"
    if endpoint is not None:
        name = f"{endpoint.key.label} / {endpoint.scorer}"
    return one_line(name, limit)


def canvas(height: float = 2.7) -> tuple[Figure, Axes]:
    """Return an empty figure for curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.12, 0.5 / height, 0.84, 1 - 0.65 / height))
    return figure, axes


def legend_above(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """Put the legend over the frame, where no curve can run under it; the figure grows by its lines."""
    names = axes.get_legend_handles_labels()[1]
    if not names:
        return
    lines = -(-len(names) // columns)
    width, height = figure.get_size_inches()
    grown = height + 0.2 * lines + 0.15
    _, bottom, _, tall = axes.get_position().bounds
    figure.set_size_inches(width, grown)
    axes.set_position((0.12, bottom * height / grown, 0.84, tall * height / grown))
    # Above what stands on the frame's upper edge.
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.06), ncols=columns, borderaxespad=0)


def row_canvas(rows: Sequence[Row]) -> tuple[Figure, Axes, list[float]]:
    """Return a figure with one line per row, and the height of each line.

    The first row is at the top; a header takes a line of its own and has no mark.
    """
    from matplotlib.figure import Figure

    inches = [_HEADER if row.header else _ROW for row in rows]
    total = sum(inches)
    figure = Figure(figsize=(WIDTH, total + _FRAME))
    axes = figure.add_axes((0.045, (_FRAME - 0.1) / (total + _FRAME), 0.91, total / (total + _FRAME)))
    axes.set_ylim(-0.08, total)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    heights, top = [], total
    for row, size in zip(rows, inches, strict=True):
        top -= size
        heights.append(top + (0.0 if row.header else 0.12))
    return figure, axes, heights


def draw_rows(axes: Axes, rows: Sequence[Row], heights: Sequence[float]) -> None:
    """Write the labels above their lines."""
    across = axes.get_yaxis_transform()
    for row, y in zip(rows, heights, strict=True):
        up = 0.0 if row.header else 0.09
        weight = "bold" if row.header else "normal"
        axes.text(0, y + up, row.label, transform=across, va="bottom", fontsize=9.5, fontweight=weight)
        if row.value:
            axes.text(1, y + up, row.value, transform=across, va="bottom", ha="right", fontsize=9)
