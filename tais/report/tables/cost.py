"""What a run was predicted to cost, and what it did cost, as tables of words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NotRequired, TypedDict

from tais.common.text import one_line
from tais.report.tables.table import WordTable
from tais.report.wording import NONE
from tais.verdict.facts import ArmCost
from tais.verdict.report import Report

__all__ = [
    "PredictedArm",
    "PredictedJudge",
    "Prediction",
    "cost_tables",
    "prediction_lines",
    "prediction_rows",
    "seconds_words",
]

_SOURCES = {
    "calibration": "from a calibration on",
    "run": "from run",
    "declared": "simulated from declared rates:",
}


class PredictedArm(TypedDict):
    """What one arm will take."""

    answers: int
    tokens: int
    load: float
    generate: float
    """In seconds of one worker, as `load`."""
    devices: int


class PredictedJudge(TypedDict):
    """What a judge is asked."""

    questions: int
    """At most."""
    seconds: float | None
    """None where no rates name the judge."""


class Prediction(TypedDict):
    """What a run will take."""

    source: str
    said: str
    workers: int
    shards: int
    device: str
    import_seconds: float
    rest_seconds: float | None
    """Scoring and deciding; None where it was not measured."""
    arms: dict[str, PredictedArm]
    tokens: int
    device_hours: float
    """GPUs or cores that are held, times hours."""
    wall_seconds: float
    unknown: list[str]
    """Arms without rates, of which the sums say nothing."""
    judges: NotRequired[dict[str, PredictedJudge]]
    """Absent from predictions that older versions wrote."""


def seconds_words(seconds: float | None) -> str:
    """Return a duration as people say it."""
    if seconds is None:
        return NONE
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _source(source: str, said: str) -> str:
    return one_line(f"{_SOURCES.get(source, source)} {said}".strip(), 200)


def prediction_rows(prediction: Prediction) -> Iterator[tuple[str, ...]]:
    """Yield arm, tokens, seconds to load and to answer, and devices."""
    for name, arm in prediction["arms"].items():
        unit = prediction["device"].upper() + ("s" if prediction["device"] == "gpu" else " cores")
        yield (
            one_line(name),
            f"{arm['tokens']:,}",
            seconds_words(arm["load"]),
            seconds_words(arm["generate"]),
            f"{arm['devices']} {unit}",
        )


def prediction_lines(prediction: Prediction) -> Iterator[str]:
    """Yield the sums of a prediction, and what it does not hold."""
    hours = "GPU hours" if prediction["device"] == "gpu" else "core hours"
    workers, shards = prediction["workers"], prediction["shards"]
    where = "on this machine" if workers == 1 else f"on {workers} workers"
    if shards > 1:
        where += f", {shards} shards per arm"
    if prediction["source"] == "declared":
        where += " (simulated, not measured)"
    yield (
        f"predicted {where}: {prediction['tokens']:,} tokens, {prediction['device_hours']:.2g} {hours}, "
        f"{seconds_words(prediction['wall_seconds'])}"
    )
    source = _source(prediction["source"], prediction["said"])
    yield f"  {source}; audits and an early stop are not in it"
    for name, judge in prediction.get("judges", {}).items():
        time = judge["seconds"]
        took = "whose time is not known and not in it" if time is None else f"{seconds_words(time)} of it"
        yield f"  judge {one_line(name)}: at most {judge['questions']:,} questions, {took}"
    if prediction["rest_seconds"] is None:
        yield "  nor is scoring and deciding, which was not measured"
    if prediction["unknown"]:
        names = ", ".join(one_line(name) for name in prediction["unknown"])
        yield f"  nothing is known of {names}: the sums are of the other arms"


def cost_tables(report: Report) -> list[WordTable]:
    """Return prediction and truth of a run; empty where nothing was predicted."""
    cost = report.facts.run.cost
    if cost is None:
        return []
    rows = [_row(row) for row in cost.arms]
    if len(rows) > 1:
        rows.append(_sum("all that ran", cost.predicted_seconds, cost.measured_seconds))
    if cost.predicted_wall_seconds is not None:
        rows.append(_sum("the whole run", cost.predicted_wall_seconds, cost.measured_wall_seconds))
    title = f"Predicted and measured time, {_source(cost.source, cost.said)}"
    columns = ("arm", "tokens predicted", "measured", "time predicted", "measured", "measured / predicted")
    return [WordTable(title, columns, tuple(rows))]


def _row(row: ArmCost) -> tuple[str, ...]:
    predicted, measured = row.predicted, row.measured
    name = one_line(row.arm)
    if measured is None:
        took = "did not run here"
        return name, f"{predicted.tokens:,}", NONE, seconds_words(predicted.seconds), took, NONE
    times = _sum(name, predicted.seconds, measured.seconds)
    return name, f"{predicted.tokens:,}", f"{measured.tokens:,}", *times[3:]


def _sum(name: str, predicted: float, measured: float) -> tuple[str, ...]:
    ratio = f"{measured / predicted:.2f}" if predicted else NONE
    return name, NONE, NONE, seconds_words(predicted), seconds_words(measured), ratio
