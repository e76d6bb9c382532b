"""Which items belong to which look of a run that may stop early."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role
from tais.rundir.items import Items
from tais.rundir.lock_model import Lock, LockedContrast, LookSchedule

__all__ = ["LookPlan", "Stratum", "blocks", "counts_within", "look_numbers", "planned_counts"]


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


Stratum = tuple[str, str | None]
"""Battery, and the one expectation of the items; None where the battery is not split."""


@dataclass(frozen=True, slots=True)
class LookPlan:
    """The early stop of a lock."""

    kind: str
    looks: int
    arms: tuple[str, ...]
    clusters: Mapping[Stratum, tuple[int, ...]]
    """By battery and stratum: clusters in after each look."""
    early: Mapping[str, bool]
    """By battery: whether it is looked at before the end."""
    seed: int
    endpoints: int = 1
    """Endpoints of all screened contrasts."""

    @classmethod
    def of(cls, lock: Lock) -> LookPlan | None:
        """Read a lock; None where every arm answers everything."""
        fixed = lock.sequential
        if fixed is None:
            return None
        return cls(
            fixed.kind,
            fixed.looks,
            fixed.arms,
            _by_stratum(fixed),
            {name: entry.early for name, entry in fixed.batteries.items()},
            lock.sampling.seed,
            fixed.endpoints or _endpoints(lock, fixed),
        )

    def covers(self, contrast: LockedContrast) -> bool:
        """Return whether a contrast of the lock is one whose candidate may stop early."""
        return contrast.candidate in self.arms


def _by_stratum(fixed: LookSchedule) -> dict[Stratum, tuple[int, ...]]:
    found: dict[Stratum, tuple[int, ...]] = {}
    for name, entry in fixed.batteries.items():
        if entry.strata:
            found |= {(name, stratum): counts for stratum, counts in entry.strata.items()}
        else:
            found[name, None] = entry.clusters
    return found


def _endpoints(lock: Lock, fixed: LookSchedule) -> int:
    """Count the endpoints of a lock that does not say: all strata in each screened contrast."""
    screened = sum(contrast.role is Role.screen for contrast in lock.contrasts)
    return max(1, screened * len(_by_stratum(fixed)))


def look_numbers(plan: LookPlan, items: Items) -> NDArray[np.int64]:
    """Return the look, from 1, whose block each item belongs to; shape (items,), in the order of the file.

    The clusters of a battery, or of a stratum of it, are put in the order of a hash of seed, battery and
    cluster, and cut at the planned counts. A cluster stays together within a stratum, with all repeats.
    """
    numbers = np.zeros(len(items), np.int64)
    for (battery, stratum), counts in plan.clusters.items():
        own = items.of(battery, split=stratum is not None)
        rows = own.rows_of(stratum)
        clusters = own.clusters[rows].tolist()
        order = sorted(dict.fromkeys(clusters), key=partial(_place, plan.seed, battery))
        look = dict(zip(order, np.searchsorted(counts, np.arange(len(order)), "right") + 1, strict=True))
        numbers[own.first + rows] = [look[c] for c in clusters]
    return numbers


def counts_within(numbers: NDArray[np.int64], clusters: NDArray[np.str_], looks: int) -> tuple[int, ...]:
    """Return how many clusters of some items are in after each look.

    Parameters
    ----------
    numbers, clusters
        Look, from 1, and cluster of each item; shape (items,).
    looks
        Number of looks.
    """
    first: dict[str, int] = {}
    for cluster, look in zip(clusters.tolist(), numbers.tolist(), strict=True):
        first[cluster] = min(look, first.get(cluster, look))
    found = np.bincount(np.fromiter(first.values(), np.int64, len(first)), minlength=looks + 1)
    return tuple(np.cumsum(found[1:]).tolist())


def blocks(plan: LookPlan, items: Items, repeats: int) -> list[list[int]]:
    """Return what an arm that may stop is asked, one block per look.

    Parameters
    ----------
    plan
        Of the lock.
    items
        Of the run.
    repeats
        Requests per item.

    Returns
    -------
    list of list of int
        Requests by their index: those of the first item, those of the second, and so on.
    """
    numbers = np.repeat(look_numbers(plan, items), repeats)
    return [np.flatnonzero(numbers == look).tolist() for look in range(1, plan.looks + 1)]


def _place(seed: int, battery: str, cluster: str) -> tuple[bytes, str]:
    text = "\x1f".join(("looks", str(seed), battery, cluster))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), cluster
