"""What a run will cost, from rates; and how that compares with what it did cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.common.files import write_atomic
from tais.cost.rates import ArmRates, Rates, stack_digest
from tais.cost.schedule import Job, makespan, schedule, split
from tais.manifest.reserved import PROBE_BATTERY
from tais.report.tables.cost import PredictedArm, PredictedJudge, Prediction
from tais.rundir.lock_model import Lock
from tais.scorers.judges import Judge
from tais.scoring.exchange import JUDGED_EXCHANGES, screened_references
from tais.scoring.locked_scorers import all_scorers
from tais.verdict.facts import ArmCost, CostFacts, Seconds

__all__ = ["PREDICTION", "compared", "judge_questions", "predict", "read_prediction", "write_prediction"]

PREDICTION = "prediction.json"
"""Written before the first token."""

# Phases of an arm that a prediction speaks of.
_WORK = ("check", "generate", "close")


def predict(lock: Lock, rates: Rates, *, workers: int = 1, shards: int = 1) -> Prediction:
    """Return what a run will cost.

    Parameters
    ----------
    lock
        Of the run.
    rates
        Measured or declared.
    workers
        Sets of devices that each take one job at a time.
    shards
        Parts into which an arm is divided. A worker that goes on with the same arm keeps its engine.

    Returns
    -------
    Prediction
        JSON-ready.

    Notes
    -----
    Probes of the exchange control are in it. Judges are asked at most so many questions; how long they take
    is in it where rates name them. Audits and an early stop are left out: they depend on the answers. An arm
    that may stop early is predicted whole.
    """
    arms: dict[str, PredictedArm] = {}
    jobs: list[Job] = []
    references = {contrast.reference for contrast in lock.contrasts}
    unknown = []
    for name in lock.run_arms():
        own = rates.of(name, stack_digest(lock, name))
        if own is None:
            unknown.append(name)
            continue
        arms[name] = _arm(lock, name, own)
        fixed, work = own.load_seconds + own.warmup_seconds, arms[name]["tokens"] * own.seconds_per_token
        if lock.first_start(name) != name:
            # It has a process of its own, which imports everything anew.
            fixed += rates.import_seconds
        jobs += split(name, fixed, work, shards, first=name in references)
    for control in lock.controls:
        own = rates.of(control.reference, stack_digest(lock, control.reference))
        name = control.job
        if own is None:
            unknown.append(name)
            continue
        work = control.tokens * own.seconds_per_token
        arms[name] = _control(control.tokens, own)
        jobs += split(name, own.load_seconds + own.warmup_seconds, work, 1, first=False)
    judges, judging = _judges(lock, rates)
    done = schedule(jobs, workers)
    held = sum((entry.end - entry.start) * arms[entry.job.arm]["devices"] for entry in done)
    span = makespan(done) + judging + (rates.import_seconds if jobs else 0.0)
    return {
        "source": rates.source,
        "said": rates.said,
        "workers": workers,
        "shards": shards,
        "device": rates.device,
        "import_seconds": rates.import_seconds,
        "rest_seconds": rates.rest_seconds,
        "arms": arms,
        "tokens": round(sum(arm["tokens"] for arm in arms.values())),
        "device_hours": held / 3600,
        "wall_seconds": span + (rates.rest_seconds or 0.0),
        "unknown": unknown,
        "judges": judges,
    }


def _judges(lock: Lock, rates: Rates) -> tuple[dict[str, PredictedJudge], float]:
    """Return what judges are asked at most, and the seconds of those that rates name, after all arms."""
    found: dict[str, PredictedJudge] = {}
    for judge, questions in judge_questions(lock).items():
        # What stands for every arm does not stand for a judge.
        own, count = rates.arms.get(judge), sum(questions.values())
        seconds = None
        if own is not None:
            tokens = sum(n * own.tokens(battery) for battery, n in questions.items())
            seconds = round(own.load_seconds + own.warmup_seconds + tokens * own.seconds_per_token, 3)
        found[judge] = {"questions": count, "seconds": seconds}
    return found, sum(judge["seconds"] or 0.0 for judge in found.values())


def judge_questions(lock: Lock) -> dict[str, dict[str, int]]:
    """Return how many questions each judge is asked at most, by battery, exchanged answers among them.

    Equal answers are asked about once, so it may be far fewer.
    """
    found: dict[str, dict[str, int]] = {}
    arms, references = len(lock.run_arms()), len(screened_references(lock))
    for battery in lock.batteries:
        for place, scorer in enumerate(all_scorers(lock)[battery.name]):
            if not isinstance(scorer, Judge):
                continue
            own = found.setdefault(scorer.judge, {})
            count = battery.items * lock.sampling.n * arms
            if place == 0 and scorer.exchange != "none":
                count += min(JUDGED_EXCHANGES, battery.items) * references
            own[battery.name] = own.get(battery.name, 0) + count
    return found


def _arm(lock: Lock, name: str, own: ArmRates) -> PredictedArm:
    answers = {battery.name: battery.items * lock.sampling.n for battery in lock.batteries}
    if lock.probes is not None and name in lock.probes.arms:
        answers[PROBE_BATTERY] = lock.probes.items
    tokens = sum(count * own.tokens(battery) for battery, count in answers.items())
    return {
        "answers": sum(answers.values()),
        "tokens": round(tokens),
        "load": round(own.load_seconds, 3),
        "generate": round(own.warmup_seconds + tokens * own.seconds_per_token, 3),
        "devices": own.devices,
    }


def _control(tokens: int, own: ArmRates) -> PredictedArm:
    """Return what a reference's own answers cost: of an audit that has no target arm."""
    return {
        "answers": 0,
        "tokens": tokens,
        "load": round(own.load_seconds, 3),
        "generate": round(own.warmup_seconds + tokens * own.seconds_per_token, 3),
        "devices": own.devices,
    }


def write_prediction(run_dir: Path, prediction: Prediction) -> None:
    """Write a prediction into a run directory, before anything in it is known."""
    write_atomic(run_dir / PREDICTION, json.dumps(prediction, indent=1, sort_keys=True).encode() + b"\n")


def read_prediction(run_dir: Path) -> Prediction | None:
    """Return the prediction of a run; None where there is none that can be read."""
    try:
        found: Prediction = json.loads((run_dir / PREDICTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def compared(
    prediction: Prediction,
    phases: Mapping[str, Mapping[str, float]],
    tokens: Mapping[str, int],
    wall: float,
) -> CostFacts:
    """Return a prediction beside what was measured.

    Parameters
    ----------
    prediction
        Of :func:`predict`.
    phases
        Seconds of each phase by arm; the empty name stands for the import.
    tokens
        Answer tokens by arm.
    wall
        Seconds of the whole run.
    """
    rows = list(_rows(prediction, phases, tokens))
    # Arms that came from a cache or were stored before an interruption took no time here.
    ran = [(row.predicted.seconds, row.measured.seconds) for row in rows if row.measured is not None]
    whole = len(ran) == len(rows) and not prediction["unknown"]
    return CostFacts(
        source=prediction["source"],
        said=prediction["said"],
        arms=tuple(rows),
        predicted_seconds=round(sum(predicted for predicted, _ in ran), 3),
        measured_seconds=round(sum(measured for _, measured in ran), 3),
        predicted_wall_seconds=round(prediction["wall_seconds"], 3) if whole else None,
        measured_wall_seconds=round(wall, 3),
    )


def _rows(
    prediction: Prediction, phases: Mapping[str, Mapping[str, float]], tokens: Mapping[str, int]
) -> Iterator[ArmCost]:
    for name, arm in sorted(prediction["arms"].items()):
        own = phases.get(name)
        measured = None
        # An arm without an engine has no phase in which it answers.
        if own is not None and "generate" in own:
            work = sum(own.get(phase, 0.0) for phase in _WORK)
            load = own.get("load", 0.0)
            measured = Seconds(
                tokens=tokens.get(name, 0),
                load=round(load, 3),
                generate=round(work, 3),
                seconds=round(load + work, 3),
            )
        predicted = Seconds(
            tokens=arm["tokens"],
            load=arm["load"],
            generate=arm["generate"],
            seconds=round(arm["load"] + arm["generate"], 3),
        )
        yield ArmCost(arm=name, predicted=predicted, measured=measured)
