"""Answers that stand alone, without the reference's own: how many of those planned are the target's.

The unit is the distinct prompt, as everywhere: prompts of a cluster count once. Whatever was not scored to
its end counts against the candidate, whatever the reason, and so does a text that is not what its tokens say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tais.rundir.audits import Scored, read_scores
from tais.rundir.items import BatteryItems
from tais.verdict.evidence import BatteryAudit

__all__ = ["PlannedBattery", "judge_planned"]


@dataclass(frozen=True, slots=True)
class PlannedBattery:
    """What was asked of a battery."""

    name: str
    items: BatteryItems
    repeats: int
    margin: float | None


class _State(IntEnum):
    """Of an answer; the largest of a cluster's is the cluster's."""

    planned_out = 0
    own = 1
    unscored = 2
    beyond = 3
    other_text = 4


def judge_planned(
    folder: Path, candidate: str, band: float, planned: Sequence[PlannedBattery]
) -> Iterator[BatteryAudit]:
    """Yield what the reference stack says of all that was planned.

    Parameters
    ----------
    folder
        Of the reference stack's scores.
    candidate
        The arm.
    band
        Largest margin that is no miss.
    planned
        What it was asked.
    """
    states = {
        battery.name: np.full(len(battery.items.ids) * battery.repeats, _State.unscored, dtype=np.int8)
        for battery in planned
    }
    rows = {
        battery.name: {str(name): row for row, name in enumerate(battery.items.ids)} for battery in planned
    }
    repeats = {battery.name: battery.repeats for battery in planned}
    for scored in read_scores(folder):
        if scored.key.arm == candidate:
            name, item, repeat = scored.sample
            states[name][rows[name][item] * repeats[name] + repeat] = _state(scored, band)
    for battery in planned:
        yield _folded(battery, states[battery.name])


def _state(scored: Scored, band: float) -> _State:
    if scored.no_room:
        return _State.planned_out
    if scored.other_text:
        return _State.other_text
    if scored.prompt_fits is False:
        return _State.unscored
    if (scored.margins > band).any():
        return _State.beyond
    return _State.own if scored.whole else _State.unscored


def _folded(battery: PlannedBattery, states: NDArray[np.int8]) -> BatteryAudit:
    _, codes = np.unique(battery.items.clusters, return_inverse=True)
    worst = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int8)
    np.maximum.at(worst, np.repeat(codes, battery.repeats), states)
    counts = np.bincount(worst, minlength=len(_State))
    return BatteryAudit(
        battery.name,
        items=int(counts[1:].sum()),
        items_beyond=int(counts[_State.beyond :].sum()),
        unscored=int(counts[_State.unscored]),
        planned_out=int(counts[_State.planned_out]),
        other_text=int(counts[_State.other_text]),
        margin=battery.margin,
    )
