"""Early stop in a run: which items each look sees, and whether a candidate may stop after one.

The plan stands in the lock: looks per battery, counted in clusters, and the arms that may stop. Which items
belong to which look follows from the sampling seed and the ids by hash, so that everybody gets the same
order and no answer can change it. Every battery brings its planned share to every look. The run asks after
each block of answers whether it hands out more; the decision asks again, by the same functions, from the
same samples.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tais.analysis.arm_table import load_arm
from tais.analysis.asked import without
from tais.analysis.paired_arms import Pair
from tais.analysis.provenance import one_evidence
from tais.manifest.model import Role
from tais.rundir.asked import asked_otherwise
from tais.rundir.items import Items
from tais.rundir.layout import SCORES, RunDir
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock, LockedContrast
from tais.rundir.looks import LookPlan, counts_within, look_numbers
from tais.scoring.locked_scorers import scorers_of
from tais.scoring.replies import Replies
from tais.scoring.score import score_arms
from tais.verdict.early_stop import Stop
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence, LookEvidence, TreatmentEvidence
from tais.verdict.screen import stop_of

__all__ = ["look_evidence", "stop_after"]


def stop_after(run_dir: Path, candidate: str, look: int) -> Stop | None:
    """Return where a candidate stops once the answers of a look are stored; None where it goes on.

    Parameters
    ----------
    run_dir
        The run directory, with all answers of the arms that the candidate is compared with.
    candidate
        An arm that may stop early.
    look
        Look up to which its answers are stored.

    Raises
    ------
    StoreError
        When samples cannot be read.
    """
    lock = read_lock(run_dir)
    plan = LookPlan.of(lock)
    assert plan is not None
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        contrasts = _Looking(RunDir(run_dir), Path(folder) / SCORES, lock, plan).contrasts(candidate)
    blind = not all(plan.early.values())
    stop = stop_of(candidate, contrasts, lock.rules, upto=look, blind=blind)
    return stop if stop is not None and stop.early else None


def look_evidence(
    plan: LookPlan, endpoint: EndpointEvidence, pair: Pair, numbers: NDArray[np.int64], repeats: int
) -> EndpointEvidence:
    """Return an endpoint with its looks.

    Parameters
    ----------
    plan
        Of the lock.
    endpoint
        Paired outcomes of one battery.
    pair
        The samples that they come from.
    numbers
        Look of each item of items.parquet; see :func:`tais.rundir.looks.look_numbers`.
    repeats
        Answers per item.
    """

    def unmatched(keys: NDArray[np.int64]) -> tuple[int, ...]:
        alone = numbers[np.setdiff1d(keys, pair.keys) // repeats]
        return counted(alone)

    def counted(rows: NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(np.bincount(rows, minlength=plan.looks + 1)[1:].tolist())

    looks = LookEvidence(
        plan.kind,
        _planned(plan, endpoint, pair, numbers),
        plan.early[endpoint.battery],
        numbers[pair.keys // repeats],
        unmatched(pair.reference.keys),
        unmatched(pair.candidate.keys),
        plan.endpoints,
        counted(numbers[np.setdiff1d(pair.asked, pair.answered) // repeats]),
    )
    return replace(endpoint, looks=looks)


def _planned(
    plan: LookPlan, endpoint: EndpointEvidence, pair: Pair, numbers: NDArray[np.int64]
) -> tuple[int, ...]:
    """Return the planned counts; of a lock that knows no strata, those of the items of this one."""
    planned = plan.clusters.get((endpoint.battery, endpoint.stratum))
    if planned is not None:
        return planned
    rows = pair.items.rows_of(endpoint.stratum)
    return counts_within(numbers[pair.items.first + rows], pair.items.clusters[rows], plan.looks)


class _Looking:
    """Scores what a look needs, and pairs it."""

    def __init__(self, run: RunDir, scores: Path, lock: Lock, plan: LookPlan) -> None:
        self.run, self.scores, self.lock, self.plan = run, scores, lock, plan
        self.items = Items(run.items)
        self.numbers = look_numbers(plan, self.items)
        self.repeats = lock.sampling.n
        self.scorers = {name: s for name, s in scorers_of(lock).items() if plan.early[name]}

    def contrasts(self, candidate: str) -> list[ContrastEvidence]:
        """Return the contrasts of a candidate, and those that calibrate its references."""
        own = [c for c in self.lock.contrasts if c.candidate == candidate]
        references = {c.reference for c in own}
        calibration = [
            c for c in self.lock.contrasts if c.role is Role.calibration and set(c.sides) & references
        ]
        wanted = [*own, *calibration]
        arms = sorted({arm for c in wanted for arm in c.sides})
        folders = {arm: self.run.arm(arm) for arm in arms}
        scorers = {name: (scorer,) for name, scorer in self.scorers.items()}
        score_arms(self.scores, folders, scorers, self.items, Replies(self.run))
        tables = {
            arm: load_arm(arm, folder, self.items, self.repeats, self.scores, frozenset(scorers))
            for arm, folder in folders.items()
        }
        found = []
        for contrast in wanted:
            endpoints, identity = [], []
            otherwise = asked_otherwise(self.run, self.lock, contrast.sides)
            sides = [without(tables[arm], otherwise, self.items, self.repeats) for arm in contrast.sides]
            for battery in self.lock.batteries:
                if battery.name not in scorers:
                    continue
                scorer = self.scorers[battery.name]
                items = self.items.of(battery.name, split=scorer.exchange == "polarity")
                pair = Pair.of_battery(sides[0], sides[1], items, self.repeats)
                identity.append(pair.identity(battery.name))
                for stratum, part in pair.strata():
                    endpoint = part.endpoint(battery, scorer, stratum)
                    if self.plan.covers(contrast):
                        endpoint = look_evidence(self.plan, endpoint, part, self.numbers, self.repeats)
                    endpoints.append(endpoint)
            one = one_evidence(self.run, self.lock, contrast, identity)
            found.append(replace(_bare(contrast, endpoints), one_evidence=one.batteries))
        return found


def _bare(contrast: LockedContrast, endpoints: Sequence[EndpointEvidence]) -> ContrastEvidence:
    """Return a contrast with its endpoints alone: what a look reads."""
    return ContrastEvidence(
        reference=contrast.reference,
        candidate=contrast.candidate,
        role=contrast.role,
        lossless=contrast.lossless,
        identity=(),
        divergences=(),
        treatment=TreatmentEvidence(None, None, None, None, None),
        endpoints=tuple(endpoints),
    )
