"""Which items belong to which look of a run that may stop early."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.rundir.items import Items
from tais.rundir.lock_model import Lock, LockedContrast

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
    def of(cls, lock: Lock) -> LookPlan | None:
        """Read a lock; None where every arm answers everything."""
        fixed = lock.sequential
        if fixed is None:
            return None
        return cls(
            fixed.kind,
            fixed.looks,
            fixed.arms,
            {name: entry.clusters for name, entry in fixed.batteries.items()},
            {name: entry.early for name, entry in fixed.batteries.items()},
            lock.sampling.seed,
        )

    def covers(self, contrast: LockedContrast) -> bool:
        """Return whether a contrast of the lock is one whose candidate may stop early."""
        return contrast.candidate in self.arms


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
