"""The smallest number of answers at which a check would still have caught a fault, by subsampling a run.

Answers are drawn without replacement from those that the run has: nothing is generated again. "Would have
caught" means with probability 0.95 over the draw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tais.drill.acceptance import ALPHA, Paired, acceptance_p
from tais.evidence import EndpointEvidence
from tais.manifest import Role, Rules
from tais.report.model import Verdict
from tais.stats.endpoint import judge_endpoint

__all__ = ["PROBABILITY", "needed_for_any", "needed_for_endpoint", "needed_for_treatment"]

PROBABILITY = 0.95
_DRAWS = 200
_SEED = 20260625


def needed_for_any(flagged: int, n: int, probability: float = PROBABILITY) -> int | None:
    """Return how many of `n` answers must be drawn to hold one of `flagged`; None where none is flagged.

    Exact: the chance to miss all is hypergeometric, C(n - flagged, k) / C(n, k).
    """
    missed = 1.0
    for drawn in range(n if flagged else 0):
        missed *= (n - flagged - drawn) / (n - drawn)
        # Where all the rest is flagged, nothing can be missed.
        if missed <= 1 - probability + 1e-12:
            return drawn + 1
    return None


def needed_for_endpoint(endpoint: EndpointEvidence, rules: Rules) -> int | None:
    """Return how many items of a battery must be drawn for its endpoint to fail; None if all are too few."""
    pairs = np.stack([endpoint.reference, endpoint.candidate], axis=1)
    known: dict[bytes, bool] = {}

    def caught(rows: NDArray[np.int64]) -> bool:
        # The verdict depends on the outcomes alone, in any order.
        order = rows[np.lexsort(pairs[rows].T)]
        key = pairs[order].tobytes()
        if key not in known:
            known[key] = _fails(endpoint, order, rules)
        return known[key]

    return _smallest(len(pairs), caught)


def _fails(endpoint: EndpointEvidence, rows: NDArray[np.int64], rules: Rules) -> bool:
    part = replace(
        endpoint,
        item_ids=endpoint.item_ids[rows],
        clusters=endpoint.clusters[rows],
        reference=endpoint.reference[rows],
        candidate=endpoint.candidate[rows],
        reference_invalid=endpoint.reference_invalid[rows],
        candidate_invalid=endpoint.candidate_invalid[rows],
        reference_only=0,
        candidate_only=0,
        looks=None,
    )
    return judge_endpoint(part, rules, Role.screen).report.verdict is Verdict.failed


def needed_for_treatment(pairs: Paired) -> int | None:
    """Return how many answers must be drawn for the acceptance to differ; None if all are too few."""
    return _smallest(len(pairs), lambda rows: acceptance_p(pairs.part(rows)) < ALPHA)


def _smallest(n: int, caught: Callable[[NDArray[np.int64]], bool]) -> int | None:
    """Return the smallest draw that is caught often enough, by bisection: more answers never see less."""

    def enough(size: int) -> bool:
        random = np.random.default_rng((_SEED, size))
        draws = _DRAWS if size < n else 1
        allowed = int(draws * (1 - PROBABILITY))
        for _ in range(draws):
            allowed -= not caught(np.sort(random.permutation(n)[:size]))
            if allowed < 0:
                return False
        return True

    if not n or not enough(n):
        return None
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
