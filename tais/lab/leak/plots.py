"""Figures of a leak report: recovery against noise and bits, beside the utility that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tais.lab.leak.report import Cell, LeakReport
from tais.report.figures.canvas import LINES, SERIES, WIDTH
from tais.report.figures.svg import RC, svg_of

__all__ = ["Plot", "draw"]

_MARKERS = "osD^vP"
_HEIGHT = 4.6


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure, ready for a page."""

    key: str
    title: str
    caption: str
    svg: str


def draw(report: LeakReport) -> list[Plot]:
    """Return a figure per layer and swept defence; none where only one strength was tried."""
    # Loads matplotlib.
    import matplotlib

    settings: Any = RC
    with matplotlib.rc_context(settings):
        return [
            plot for layer in dict.fromkeys(c.layer for c in report.cells) for plot in _layer(report, layer)
        ]


def _layer(report: LeakReport, layer: int) -> Iterator[Plot]:
    cells = [c for c in report.cells if c.layer == layer and c.tokens is not None]
    for name, strength, other, label in _SWEEPS:
        # A curve changes one thing: cells that share everything else.
        for fixed in dict.fromkeys(other(c) for c in cells):
            swept = [c for c in cells if other(c) == fixed]
            if len({strength(c) for c in swept}) > 1:
                yield _plot(layer, name, strength, label, swept, fixed)


def _bits(cell: Cell) -> float:
    return float(cell.bits or 32)


_Number = Callable[[Cell], float]
_SWEEPS: tuple[tuple[str, _Number, Callable[[Cell], float | int | None], str], ...] = (
    ("noise", lambda c: c.noise, lambda c: c.bits, "standard deviation of the noise"),
    ("bits", _bits, lambda c: c.noise, "bits per number (32: as they are)"),
)


def _plot(
    layer: int, name: str, strength: _Number, label: str, cells: Sequence[Cell], fixed: float | int | None
) -> Plot:
    # Loads matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, _HEIGHT))
    above, below = figure.subplots(2, 1, sharex=True)
    words = []
    for index, permutation in enumerate(dict.fromkeys(c.permutation for c in cells)):
        line = sorted((c for c in cells if c.permutation == permutation), key=strength)
        rates = [100 * c.tokens.rate for c in line if c.tokens is not None]
        x = [strength(c) for c in line]
        above.plot(
            x, rates, color=SERIES[index], linestyle=LINES[index], marker=_MARKERS[index], label=permutation
        )
        words.append(
            f"{permutation}: " + ", ".join(f"{r:.0f} % at {s:g}" for s, r in zip(x, rates, strict=True))
        )
    left = {strength(c): c.utility.perplexity for c in cells if c.utility and c.utility.perplexity}
    below.plot(sorted(left), [left[s] for s in sorted(left)], color=SERIES[0], marker="o")
    above.set_ylim(-4, 104)
    above.set_ylabel("tokens read, per cent")
    above.legend(title="shuffled", loc="best")
    # Within a decade a logarithmic axis has no round numbers to label.
    if left and max(left.values()) > 10 * min(left.values()):
        below.set_yscale("log")
        below.yaxis.set_minor_formatter(lambda y, _: "")
    below.yaxis.set_major_formatter(lambda y, _: f"{y:.4g}")
    below.set_ylabel("perplexity left")
    below.set_xlabel(label)
    figure.subplots_adjust(left=0.16, right=0.97, top=0.97, bottom=0.12, hspace=0.12)
    beside = _beside(name, fixed)
    title = f"Layer {layer}: recovery against {name}{beside}"
    caption = (
        "Above: share of the prompts' tokens that the attack reads at their place. Below: perplexity of the "
        "model's own answers when it goes on with the changed states; shuffling costs none."
    )
    key = f"leak-{layer}-{name}-{fixed}".replace(".", "_")
    return Plot(key, title, caption, svg_of(figure, key, f"{title}. {'; '.join(words)}"))


def _beside(name: str, fixed: float | int | None) -> str:
    if not fixed:
        return ""
    return f", with {fixed} bits" if name == "noise" else f", with noise {fixed:g}"
