"""What the antidistillation experiment makes of its measurements: intervals, matching, table and plot."""

from __future__ import annotations

import io
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scipy import stats as scipy_stats

from tais.errors import UsageError
from tais.stats.proportions import as_interval, wilson

CONFIDENCE: Final = 0.95
Interval = tuple[float, float]
_HEAD: Final = (
    "lambda",
    "tau",
    "teacher right (Wilson)",
    "student right (t over seeds)",
    "student's loss, nats",
    "temperature minus lambda: right",
    "loss",
)
_SERIES: Final = (("antidistillation", "#0072b2", "o", "-"), ("temperature", "#d55e00", "s", "--"))


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to sample, and the students that learned from it.

    Attributes
    ----------
    strength, temperature
        Lambda and tau.
    matches
        Lambda whose teacher accuracy the temperature was chosen for; None where nothing was matched.
    right, answers
        Answers of the teacher that name the right letter, of all on which students trained.
    accuracies
        Share of test questions that each student answers right, one per seed.
    losses
        Of the same students on the writer's own answers, nats per token.
    """

    strength: float
    temperature: float
    matches: float | None
    right: int
    answers: int
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def teacher(self) -> float:
        """Accuracy of the teacher."""
        return self.right / self.answers


def t_interval(values: Sequence[float]) -> Interval:
    """Return the 95 % t interval of a mean over seeds; from minus to plus infinity for a single one.

    Notes
    -----
    Seeds are the units: it says how far another seed would lie, on the same answers and test questions.
    """
    if len(values) < 2:
        return -math.inf, math.inf
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    half = float(scipy_stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread / len(values) ** 0.5
    return mean - half, mean + half


def match(target: float, curve: Sequence[tuple[float, float]]) -> float:
    """Return the temperature at which a curve of (temperature, accuracy) falls to an accuracy.

    Raises
    ------
    UsageError
        Where the curve does not reach it.
    """
    ordered = sorted(curve)
    for (one, high), (two, low) in itertools.pairwise(ordered):
        if high >= target >= low:
            return two if high == low else one + (two - one) * (high - target) / (high - low)
    remedy = "Give more --grid temperatures, or smaller lambdas"
    raise UsageError(f"no temperature of the grid brings the teacher to {target:.3f}", remedy=remedy)


def accuracies_of(cell: Cell) -> Sequence[float]:
    """Return the students' accuracies, for :func:`against`."""
    return cell.accuracies


def losses_of(cell: Cell) -> Sequence[float]:
    """Return the students' losses, for :func:`against`."""
    return cell.losses


def against(
    cells: Sequence[Cell], cell: Cell, values: Callable[[Cell], Sequence[float]] = accuracies_of
) -> tuple[float, Interval] | None:
    """Return what students have under the matched temperature minus what they have under lambda, by seed.

    Parameters
    ----------
    cells
        All that was measured.
    cell
        The one under lambda.
    values
        What is compared, one number per seed.

    Returns
    -------
    (float, Interval) or None
        Mean over seeds and its t interval; of accuracies, above 0 where antidistillation taught less than
        temperature did. None where no temperature was matched to the cell.
    """
    for other in cells:
        if cell.matches is None and other.matches == cell.strength:
            pairs = zip(values(other), values(cell), strict=True)
            differences = [theirs - own for theirs, own in pairs]
            return statistics.fmean(differences), t_interval(differences)
    return None


def _with(value: float, bounds: Interval) -> str:
    if not math.isfinite(bounds[0]):
        return f"{value:.3f}"
    return f"{value:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


def table(cells: Sequence[Cell]) -> str:
    """Return the Markdown table."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for cell in cells:
        own = as_interval(wilson(cell.right, cell.answers, CONFIDENCE))
        right, loss = against(cells, cell), against(cells, cell, losses_of)
        columns = [
            f"{cell.strength:g}",
            f"{cell.temperature:.2f}",
            _with(cell.teacher, own),
            _with(statistics.fmean(cell.accuracies), t_interval(cell.accuracies)),
            _with(statistics.fmean(cell.losses), t_interval(cell.losses)),
            _with(*right) if right else "",
            _with(*loss) if loss else "",
        ]
        lines.append("| " + " | ".join(columns) + " |")
    return "\n".join(lines) + "\n"


def draw(cells: Sequence[Cell]) -> bytes:
    """Return an SVG: accuracy of the students against that of their teacher, one line per way to sample."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    start = [cell for cell in cells if cell.strength == 0 and cell.matches is None]
    for name, colour, mark, line in _SERIES:
        own = [cell for cell in cells if (cell.matches is not None) == (name == "temperature")]
        own = sorted({*own, *start}, key=lambda cell: -cell.teacher)
        means = [statistics.fmean(cell.accuracies) for cell in own]
        x = [cell.teacher for cell in own]
        axes.plot(x, means, color=colour, marker=mark, linestyle=line, label=name)
        for cell in own:
            jitter = [cell.teacher] * len(cell.accuracies)
            axes.plot(
                jitter, cell.accuracies, color=colour, marker=mark, linestyle="", markersize=3, alpha=0.5
            )
        for cell, mean in zip(own, means, strict=True):
            said = f"{cell.strength:g}" if name != "temperature" else f"{cell.temperature:.2f}"
            axes.annotate(
                said, (cell.teacher, mean), (5, 5), textcoords="offset points", fontsize=8, color=colour
            )
    axes.set(xlabel="teacher: share of its answers that are right", ylabel="students: share right")
    axes.set_title("Labels: lambda, and the temperature matched to it; small marks: seeds", fontsize=9)
    axes.legend()
    kept = io.BytesIO()
    # The same measurements give the same file.
    with rc_context({"svg.hashsalt": "antidistillation"}):
        figure.savefig(kept, format="svg", metadata={"Date": None})
    return kept.getvalue()
