"""How often an honest run lies beyond the A/A floor: enumerated, and simulated where starts differ."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tais.stats.null import difference_quantile
from tais.stats.predictive import AgainstItself, predicted_count, predicted_difference, start_spread

__all__ = ["STARTS", "World", "beyond_floor", "beyond_floor_of_starts"]

World = Literal["rate", "lean"]
"""What differs from start to start: how often items flip, or which way."""
STARTS = 1000
"""Simulated screens of a cell."""

_LEAST = 1e-10


def beyond_floor(
    n: int, share: float, quantile: float = 0.99, *, plug_in: bool = False
) -> tuple[float, float]:
    """Probability that one more honest run lies beyond the floor that an A/A run of the same n gives.

    Parameters
    ----------
    n
        Items of either run.
    share
        True share of items that flip between two runs of the stack.
    quantile
        Of the floor.
    plug_in
        By the quantile at the share that the A/A run shows, instead of the predictive one.

    Returns
    -------
    answers, outcomes
        Of the count of items that differ, and of the difference of outcomes; exact sums.
    """
    from scipy.stats import binom

    flips = np.arange(n + 1)
    mass = binom.pmf(flips, n, share)
    kept = mass > _LEAST
    answers = outcomes = 0.0
    for k, weight in zip(flips[kept].tolist(), mass[kept].tolist(), strict=True):
        known = AgainstItself(n, k)
        if plug_in:
            most, widest = int(binom.ppf(quantile, n, k / n)), difference_quantile(n, k / n, quantile)
        else:
            most, widest = predicted_count(n, known, quantile), predicted_difference(n, known, quantile)
        answers += weight * float(binom.sf(most, n, share))
        # More than (k + s) / 2 of k flips the same way, either way.
        wider = np.where(flips > widest, 2 * binom.sf((flips + widest) // 2, flips, 0.5), 0.0)
        outcomes += weight * float(mass @ wider)
    return answers, outcomes


def beyond_floor_of_starts(
    n: int,
    runs: int,
    world: World,
    correlation: float,
    *,
    share: float = 0.05,
    pooled: bool = False,
    quantile: float = 0.99,
    screens: int = STARTS,
    seed: int = 0,
) -> tuple[float, float]:
    """Share of simulated screens in which one more honest start lies beyond the floor.

    Parameters
    ----------
    n
        Items.
    runs
        A/A runs that are known, each a fresh start.
    world
        What differs from start to start: how often items flip, or which way.
    correlation
        Of two items of one start.
    share
        Mean share of flips.
    pooled
        Without the spread of the starts.
    quantile
        Of the floor.
    screens, seed
        Of the simulation.

    Returns
    -------
    answers, outcomes
        As :func:`beyond_floor`.
    """
    random = np.random.RandomState(seed)
    size = (screens, runs + 1)
    rates, leans = np.full(size, share), np.full(size, 0.5)
    if correlation > 0:
        total = 1 / correlation - 1
        if world == "rate":
            rates = random.beta(share * total, (1 - share) * total, size)
        else:
            leans = random.beta(total / 2, total / 2, size)
    flips = random.binomial(n, rates)
    shifts = 2 * random.binomial(flips, leans) - flips
    answers = outcomes = 0
    for k, shift in zip(flips.tolist(), shifts.tolist(), strict=True):
        known = [AgainstItself(n, x, d, x) for x, d in zip(k[:-1], shift[:-1], strict=True)]
        spread = start_spread(known[:1] if pooled else known)
        every = AgainstItself(n * runs, sum(k[:-1]))
        # Of outcomes, clusters stay clusters however many runs there are.
        mean = AgainstItself(n, sum(k[:-1]) / runs)
        answers += k[-1] > predicted_count(n, every, quantile, spread)
        outcomes += abs(shift[-1]) > predicted_difference(n, mean, quantile, spread=spread)
    return answers / screens, outcomes / screens
