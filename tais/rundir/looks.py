"""Which items belong to which look of a run that may stop early."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tais.analysis.paired_arms import Pair
from tais.rundir.items import Items
from tais.rundir.lock import read_lock
from tais.verdict.evidence import EndpointEvidence, LookEvidence

if TYPE_CHECKING:
    from tais.records import Request

__all__ = ["LookPlan", "blocks", "look_numbers", "planned_counts"]


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
