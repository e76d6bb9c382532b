"""The smallest number of answers at which a check would still have caught a fault, by subsampling a run.

Answers are drawn without replacement from those that the run has: nothing is generated again. "Would have
caught" means with probability 0.95 over the draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tais.lab.drill.acceptance import ALPHA, Paired, acceptance_p
from tais.manifest.model import Role, Rules
from tais.stats.paired import PairedTable
from tais.stats.regions import regions
from tais.verdict.endpoint import endpoint_setting
from tais.verdict.endpoint_table import fold
from tais.verdict.evidence import EndpointEvidence

__all__ = ["PROBABILITY", "needed_for_any", "needed_for_endpoint", "needed_for_treatment"]

PROBABILITY = 0.95
_DRAWS = 400
_SEED = 20260625


def needed_for_any(flagged: int, n: int, probability: float = PROBABILITY) -> int | None:
    """Return how many of `n` answers must be drawn to hold one of `flagged`; None where none is flagged.

    Exact: the chance to miss all is hypergeometric, C(n - flagged, k) / C(n, k).
    """
    missed = 1.0
    for drawn in range(n if flagged else 0):
        missed *= (n - flagged - drawn) / (n - drawn)
        if missed <= 1 - probability + 1e-12:
            return drawn + 1
    return None


def needed_for_endpoint(endpoint: EndpointEvidence, rules: Rules) -> int | None:
    """Return how many items of a battery must be drawn for its endpoint to fail; None if all are too few.

    By the score test, on tables drawn from the endpoint's own. None also where it is continuous, or has
    several rows per item, whose draws are no such tables.
    """
    folded = fold(endpoint)
    if endpoint.kind != "binary" or folded.clustered:
        return None
    setting = endpoint_setting(endpoint, rules, Role.screen)
    cells = [int(count) for count in folded.rows]

    def caught(size: int, random: np.random.Generator) -> float:
        drawn = random.multivariate_hypergeometric(cells, size, size=_DRAWS)
        _, fails = regions(PairedTable(*drawn.T), setting)
        return float(np.mean(fails))

    return _smallest(folded.n, caught)


def needed_for_treatment(pairs: Paired) -> int | None:
    """Return how many answers must be drawn for the acceptance to differ; None if all are too few."""

    def caught(size: int, random: np.random.Generator) -> float:
        draws = (np.sort(random.permutation(len(pairs))[:size]) for _ in range(_DRAWS))
        return float(np.mean([acceptance_p(pairs.part(rows)) < ALPHA for rows in draws]))

    return _smallest(len(pairs), caught)


def _smallest(n: int, caught: Callable[[int, np.random.Generator], float]) -> int | None:
    """Return the smallest draw that is caught often enough, by bisection: more answers never see less.

    Where all are drawn there is but one table, so that a fault that is caught at all has a number.
    """

    def enough(size: int) -> bool:
        return caught(size, np.random.default_rng((_SEED, size))) >= PROBABILITY

    if not n or not enough(n):
        return None
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
