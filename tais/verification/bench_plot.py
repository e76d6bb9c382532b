"""The figure of ``tais law bench``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tais.verification.bench import Point, pooled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

# Okabe and Ito's palette; with twelve algorithms line and mark tell apart what colour cannot.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a6568b", "#7a6a00", "#3d8fbf")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")


def draw(points: Sequence[Point]) -> bytes:
    """Return an SVG: made-up laws by divergence, one panel per shape, and a panel per draft model."""
    from matplotlib.figure import Figure

    together = pooled(points)
    made_up = [point for point in together if "divergence" in point.setting]
    pairs = [point for point in together if "draft" in point.setting]
    shapes = list(dict.fromkeys((p.shape, p.setting.get("peak"), p.setting["temperature"]) for p in made_up))
    drafts = list(dict.fromkeys((str(p.setting["draft"]), p.setting["temperature"]) for p in pairs))
    panels = max(1, len(shapes) + len(drafts))
    figure = Figure(figsize=(5.2 * panels, 4.6), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel, (shape, peak, heat) in zip(axes, shapes, strict=False):
        of = [
            p
            for p in made_up
            if (p.shape, p.setting.get("peak"), p.setting["temperature"]) == (shape, peak, heat)
        ]
        _curves(panel, of, f"made-up laws, {shape}" + (f", temperature {heat:g}" if heat != 1 else ""))
    for panel, (draft, heat) in zip(axes[len(shapes) :], drafts, strict=False):
        of = [p for p in pairs if (p.setting["draft"], p.setting["temperature"]) == (draft, heat)]
        _bars(panel, of, f"draft model: {draft}, temperature {heat:g}")
    kept = io.BytesIO()
    figure.savefig(kept, format="svg", metadata={"Date": None})
    return kept.getvalue()


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
