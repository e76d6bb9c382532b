"""The figures of a report: what a reader should see before any table.

Every figure is narrow enough for a phone, carries its labels above its lines, tells series apart by
marker and line style as well as by colour, and is drawn from the frozen report alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tais.report.figures.canvas import Drawn
from tais.report.figures.curves import acceptance, contamination, divergences
from tais.report.figures.heat import heat
from tais.report.figures.rows import effect, forest, identity, rates, timing
from tais.report.figures.svg import RC, svg_of
from tais.verdict.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plot", "draw_plots"]


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure, ready for a page."""

    key: str
    title: str
    caption: str
    svg: str
    flat: str = ""
    """Why it is folded."""


_DRAWERS: tuple[tuple[str, Callable[[Report], Iterator[Drawn]]], ...] = (
    ("forest", forest),
    ("effect", effect),
    ("sweep", heat),
    ("contamination", contamination),
    ("identity", identity),
    ("divergences", divergences),
    ("acceptance", acceptance),
    ("rates", rates),
    ("timing", timing),
)


def draw_plots(report: Report) -> list[Plot]:
    """Return the figures for which a report has data, in the order in which they are read."""
    import matplotlib

    plots = []
    with matplotlib.rc_context(RC):
        for key, draw in _DRAWERS:
            for index, drawn in enumerate(draw(report)):
                name = key if index == 0 else f"{key}-{index + 1}"
                svg = _svg(drawn.figure, name, drawn)
                plots.append(Plot(name, drawn.title, drawn.caption, svg, drawn.flat))
    return plots


def _svg(figure: Figure, name: str, drawn: Drawn) -> str:
    return svg_of(figure, f"plot-{name}", f"{drawn.title}. {drawn.words}")
