"""The figure of ``tais law bench``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tais.lab.workbench.bench import Point, pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

# Okabe and Ito's palette; with twelve algorithms line and mark tell apart what colour cannot.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a6568b", "#7a6a00", "#3d8fbf")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")


def draw(points: Sequence[Point]) -> bytes:
    """Return an SVG: made-up laws by divergence, one panel per shape, and a panel per draft model."""
    # Loads matplotlib.
    from matplotlib.figure import Figure

    together = pooled(points)
    panels: dict[str, list[Point]] = {}
    for point in together:
        panels.setdefault(_title(point), []).append(point)
    figure = Figure(figsize=(5.2 * max(1, len(panels)), 4.6), layout="constrained")
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    for panel, (title, mine) in zip(axes, panels.items(), strict=False):
        (_curves if "divergence" in mine[0].setting else _bars)(panel, mine, title)
    kept = io.BytesIO()
    figure.savefig(kept, format="svg", metadata={"Date": None})
    return kept.getvalue()


def _title(point: Point) -> str:
    """Name the panel of a point: all of its setting but the divergence, which is an axis."""
    setting = point.setting
    rest = [f"{key} {setting[key]:g}" for key in ("temperature", "peak", "onset") if key in setting]
    where = f"made-up laws, {point.shape}" if "divergence" in setting else f"draft model: {setting['draft']}"
    return f"{where}\n{', '.join(rest)}"


def _curves(axes: Axes, points: Sequence[Point], title: str) -> None:
    for index, name in enumerate(dict.fromkeys(point.verifier for point in points)):
        mine = sorted((p for p in points if p.verifier == name), key=lambda p: float(p.setting["divergence"]))
        axes.errorbar(
            [float(p.setting["divergence"]) for p in mine],
            [p.efficiency for p in mine],
            yerr=[p.error for p in mine],
            label=name,
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKS[index % len(_MARKS)],
            linestyle="-" if index < len(_COLOURS) else "--",
            markersize=4,
        )
    axes.set(title=title, xlabel="divergence of the draft", ylabel="tokens per pass of the target")
    axes.legend(fontsize=7)


def _bars(axes: Axes, points: Sequence[Point], title: str) -> None:
    ordered = sorted(points, key=lambda point: point.efficiency)
    places = range(len(ordered))
    axes.barh(places, [p.efficiency for p in ordered], xerr=[p.error for p in ordered], color=_COLOURS[0])
    axes.set_yticks(places, [f"{p.verifier}  {p.shape}" for p in ordered], fontsize=7)
    axes.set(title=title, xlabel="tokens per pass of the target")
