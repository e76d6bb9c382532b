"""Early stop in a run: which items each look sees, and whether a candidate may stop after one.

The plan stands in the lock: looks per battery, counted in clusters, and the arms that may stop. Which items
belong to which look follows from the sampling seed and the ids by hash, so that everybody gets the same
order and no answer can change it. Every battery brings its planned share to every look. The process that
runs an arm asks after each block of answers; the decision asks again, by the same functions, from the same
samples.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tais.analysis.arm_table import load_arm
from tais.analysis.paired_arms import Pair
from tais.errors import ManifestError, Place
from tais.manifest.model import Hypothesis, Manifest, Role, Rules
from tais.rundir.items import Items
from tais.rundir.lock import read_lock
from tais.scorers import ScorerBase
from tais.scorers.judges import Judge
from tais.scoring.replies import Replies, scorers_of
from tais.scoring.score import score_arms
from tais.stats.sequential import Boundary
from tais.verdict.early_stop import Stop
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence, LookEvidence, TreatmentEvidence

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery
    from tais.engines.base import Request
    from tais.worker.main import Job

__all__ = [
    "LookPlan",
    "blocks",
    "in_order",
    "look_numbers",
    "may_look",
    "plan_looks",
    "planned_counts",
    "stop_after",
    "stop_without_flips",
]


def planned_counts(clusters: int, looks: int) -> tuple[int, ...]:
    """Return how many clusters of a battery are in after each look: even shares, all at the last.

    Parameters
    ----------
    clusters
        Clusters of the battery, at least 1.
    looks
        Number of looks. Where it exceeds the clusters, some looks bring nothing new.
    """
    return tuple(clusters * (look + 1) // looks for look in range(looks))


def may_look(scorer: ScorerBase) -> bool:
    """Return whether outcomes are known before the end: binary ones that no judge must be asked for."""
    return scorer.kind == "binary" and not isinstance(scorer, Judge)


def plan_looks(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> dict[str, Any] | None:
    """Return the early stop as the lock fixes it; None where no arm may stop early.

    Raises
    ------
    ManifestError
        Where no battery can be looked at before the end.
    """
    rules = manifest.rules.sequential
    arms = [name for name in manifest.arms if manifest.stops_early(name)]
    if rules is None or not arms:
        return None
    if not any(may_look(battery.scorer) for battery in batteries):
        raise ManifestError(
            "no battery can be looked at before the end: scores in [0, 1] and answers that a judge reads "
            "have no boundary",
            place=Place(key="rules.sequential"),
            remedy="Leave out sequential, or add a battery with a binary scorer of its own",
        )
    counts = {battery.name: len({item.cluster for item in battery.items}) for battery in batteries}
    return {
        "kind": rules.kind,
        "looks": rules.looks,
        "arms": arms,
        "batteries": {
            battery.name: {
                "clusters": list(planned_counts(counts[battery.name], rules.looks)),
                "early": may_look(battery.scorer),
            }
            for battery in batteries
        },
    }


def stop_without_flips(lock: Mapping[str, Any]) -> int | None:
    """Return the look after which a candidate without a flip stops; None where it answers everything.

    Without flips Cohen's h is 0 and delays nothing, unless the A/A contrasts make its cutoff unusable.
    """
    plan, rules = LookPlan.of(lock), Rules.model_validate(lock["rules"])
    if plan is None or not all(plan.early.values()):
        return None
    reached = []
    for battery in lock["batteries"]:
        counts = plan.clusters[battery["name"]]
        boundary = Boundary(
            battery["margin"] or rules.margin,
            tuple(sorted({n for n in counts if n})),
            rules.alpha,
            plan.kind,
            one_sided=rules.hypothesis is Hypothesis.non_inferiority,
        )
        passed = (n for n in boundary.looks if boundary.passes_without_flips(n))
        reached.append(counts.index(next(passed, counts[-1])) + 1)
    return look if (look := max(reached)) < plan.looks else None


def in_order(jobs: Sequence[Job], lock: Mapping[str, Any], run_dir: Path) -> list[Job]:
    """Return the jobs of arms in the order in which they run: those that may stop early last, and marked.

    What a look compares with is whole by then.
    """
    arms = lock.get("sequential", {}).get("arms", ())
    whole = [job for job in jobs if job["arm"]["name"] not in arms]
    return whole + [{**job, "looks": str(run_dir)} for job in jobs if job["arm"]["name"] in arms]


@dataclass(frozen=True, slots=True)
class LookPlan:
    """The early stop of a lock."""

    kind: str
    looks: int
    arms: tuple[str, ...]
    clusters: Mapping[str, tuple[int, ...]]
    """By battery: clusters in after each look."""
    early: Mapping[str, bool]
    """By battery: whether it is looked at before the end."""
    seed: int

    @classmethod
    def of(cls, lock: Mapping[str, Any]) -> LookPlan | None:
        """Read a lock; None where every arm answers everything."""
        fixed = lock.get("sequential")
        if not fixed:
            return None
        batteries = fixed["batteries"]
        return cls(
            fixed["kind"],
            fixed["looks"],
            tuple(fixed["arms"]),
            {name: tuple(entry["clusters"]) for name, entry in batteries.items()},
            {name: entry["early"] for name, entry in batteries.items()},
            lock["sampling"]["seed"],
        )

    def covers(self, contrast: Mapping[str, Any]) -> bool:
        """Return whether a contrast of the lock is one whose candidate may stop early."""
        return contrast["candidate"] in self.arms

    def evidence(
        self, endpoint: EndpointEvidence, pair: Pair, numbers: NDArray[np.int64], repeats: int
    ) -> EndpointEvidence:
        """Return the endpoint with its looks.

        Parameters
        ----------
        endpoint
            Paired outcomes of one battery.
        pair
            The samples that they come from.
        numbers
            Look of each item of items.parquet; see :func:`look_numbers`.
        repeats
            Answers per item.
        """

        def unmatched(keys: NDArray[np.int64]) -> tuple[int, ...]:
            alone = numbers[np.setdiff1d(keys, pair.keys) // repeats]
            return tuple(np.bincount(alone, minlength=self.looks + 1)[1:].tolist())

        looks = LookEvidence(
            self.kind,
            self.clusters[endpoint.battery],
            self.early[endpoint.battery],
            numbers[pair.keys // repeats],
            unmatched(pair.reference.keys),
            unmatched(pair.candidate.keys),
        )
        return replace(endpoint, looks=looks)


def look_numbers(plan: LookPlan, items: Items) -> NDArray[np.int64]:
    """Return the look, from 1, whose block each item belongs to; shape (items,), in the order of the file.

    The clusters of a battery are put in the order of a hash of seed, battery and cluster, and cut at the
    planned counts. A cluster stays together, with all of its repeats.
    """
    numbers = np.zeros(len(items), np.int64)
    for battery, counts in plan.clusters.items():
        own = items.of(battery)
        order = sorted(dict.fromkeys(own.clusters.tolist()), key=lambda c: _place(plan.seed, battery, c))
        look = dict(zip(order, np.searchsorted(counts, np.arange(len(order)), "right") + 1, strict=True))
        numbers[own.first : own.first + len(own.ids)] = [look[c] for c in own.clusters.tolist()]
    return numbers


def blocks(run_dir: Path, requests: Sequence[Request], repeats: int) -> list[list[Request]]:
    """Return what an arm that may stop is asked, one block per look.

    Parameters
    ----------
    run_dir
        The run directory, with lock and items.
    requests
        All of them, in the order of items.parquet.
    repeats
        Requests per item.

    Notes
    -----
    Inside a block the order is that of the arm: nobody looks before its end.
    """
    plan = LookPlan.of(read_lock(run_dir))
    assert plan is not None
    numbers = look_numbers(plan, Items(run_dir / "items.parquet"))
    found: list[list[Request]] = [[] for _ in range(plan.looks)]
    for index, request in enumerate(requests):
        found[numbers[index // repeats] - 1].append(request)
    return found


def _place(seed: int, battery: str, cluster: str) -> tuple[bytes, str]:
    text = "\x1f".join(("looks", str(seed), battery, cluster))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), cluster


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
    from tais.verdict.screen import stop_of

    lock = read_lock(run_dir)
    plan = LookPlan.of(lock)
    assert plan is not None
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        contrasts = _Looking(run_dir, Path(folder) / "scores.parquet", lock, plan).contrasts(candidate)
    rules = Rules.model_validate(lock["rules"])
    blind = not all(plan.early.values())
    stop = stop_of(candidate, contrasts, rules, upto=look, blind=blind)
    return stop if stop is not None and stop.early else None


class _Looking:
    """Scores what a look needs, and pairs it."""

    def __init__(self, run_dir: Path, scores: Path, lock: Mapping[str, Any], plan: LookPlan) -> None:
        self.run_dir, self.scores, self.lock, self.plan = run_dir, scores, lock, plan
        self.items = Items(run_dir / "items.parquet")
        self.numbers = look_numbers(plan, self.items)
        self.repeats = lock["sampling"]["n"]
        self.scorers = {name: s for name, s in scorers_of(lock).items() if plan.early[name]}

    def contrasts(self, candidate: str) -> list[ContrastEvidence]:
        """Return the contrasts of a candidate, and those that calibrate its references."""
        own = [c for c in self.lock["contrasts"] if c["candidate"] == candidate]
        references = {c["reference"] for c in own}
        calibration = [
            c
            for c in self.lock["contrasts"]
            if c["role"] == Role.calibration and {c["reference"], c["candidate"]} & references
        ]
        wanted = [*own, *calibration]
        arms = sorted({c[side] for c in wanted for side in ("reference", "candidate")})
        folders = {arm: self.run_dir / "arms" / arm for arm in arms}
        scorers = {name: (scorer,) for name, scorer in self.scorers.items()}
        score_arms(self.scores, folders, scorers, self.items, Replies(self.run_dir))
        tables = {
            arm: load_arm(arm, folder, self.items, self.repeats, self.scores, frozenset(scorers))
            for arm, folder in folders.items()
        }
        found = []
        for contrast in wanted:
            endpoints = []
            for battery in self.lock["batteries"]:
                if battery["name"] not in scorers:
                    continue
                items = self.items.of(battery["name"])
                left, right = (tables[contrast[side]] for side in ("reference", "candidate"))
                pair = Pair.of_battery(left, right, items, self.repeats)
                endpoint = pair.endpoint(battery, self.scorers[battery["name"]])
                if self.plan.covers(contrast):
                    endpoint = self.plan.evidence(endpoint, pair, self.numbers, self.repeats)
                endpoints.append(endpoint)
            found.append(_bare(contrast, endpoints))
        return found


def _bare(contrast: Mapping[str, Any], endpoints: Sequence[EndpointEvidence]) -> ContrastEvidence:
    """Return a contrast with its endpoints alone: what a look reads."""
    return ContrastEvidence(
        reference=contrast["reference"],
        candidate=contrast["candidate"],
        role=Role(contrast["role"]),
        lossless=contrast["lossless"],
        identity=(),
        divergences=(),
        treatment=TreatmentEvidence(None, None, None, None, None),
        endpoints=tuple(endpoints),
    )
