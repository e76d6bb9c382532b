"""How often prompts that are asked several times pass, by simulation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.paired_means import Moments
from tais.stats.proportions import FloatArray, normal_quantile

__all__ = ["WORLDS", "cluster_passes"]

WORLDS = ("whole prompts", "half of them", "rows", "rates", "noise and whole prompts")
"""How a loss is spread: prompts lost in all their rows, or in half; rows lost one by one; each prompt with a
rate of its own, Beta(4, 1), that falls by the loss; whole prompts on top of rows that flip either way."""
_BLOCK = 500
_NOISE = 0.1


def cluster_passes(
    world: str,
    clusters: int,
    loss: float,
    margin: float = 0.03,
    *,
    unequal: bool = False,
    repeats: int = 8,
    alpha: float = 0.05,
    screens: int = 10_000,
    seed: int = 0,
) -> float:
    """Share of simulated endpoints of repeated prompts that pass.

    Parameters
    ----------
    world
        One of `WORLDS`.
    clusters, repeats
        Prompts, and rows of each.
    loss
        True fall of the mean over prompts, in [0, 0.5]; the margin itself gives the size of the test.
    margin, alpha
        Of the test.
    unequal
        Give prompts 1 to 2 x repeats - 1 rows instead.
    screens, seed
        Simulated endpoints (standard error of 0.05 at 10,000: 0.0022).

    Raises
    ------
    TaisError
        Where there is no such world.
    """
    random = np.random.RandomState(seed)
    rows = np.asarray(random.randint(1, 2 * repeats, clusters) if unequal else np.full(clusters, repeats))
    z, passed = normal_quantile(1 - 2 * alpha), 0
    for start in range(0, screens, _BLOCK):
        shape = (min(_BLOCK, screens - start), clusters)
        d = _differences(world, rows, loss, shape, random)
        moments = Moments.of_sums(clusters, *((d**k).sum(axis=1) for k in (1, 2, 3)))
        passed += int(((moments.lower(z) > -margin) & (moments.upper(z) < margin)).sum())
    return passed / screens


def _differences(
    world: str, rows: NDArray[np.int64], loss: float, shape: tuple[int, int], random: np.random.RandomState
) -> FloatArray:
    """Draw cluster means of candidate minus reference, shape (screens, clusters), of mean -loss."""
    if world == "whole prompts":
        return -(random.random_sample(shape) < loss).astype(np.float64)
    if world == "half of them":
        lost = random.binomial(rows, 0.5, shape).astype(np.float64) / rows
        return np.where(random.random_sample(shape) < 2 * loss, -lost, 0.0)
    if world == "rows":
        return np.asarray(-random.binomial(rows, loss, shape) / rows)
    if world == "rates":
        # The rate of each prompt lies in [loss, 1], so that all of them can fall by it.
        rate = loss + (1 - loss) * random.beta(4, 1, shape)
        fallen = random.binomial(rows, rate - loss).astype(np.float64)
        return np.asarray((fallen - random.binomial(rows, rate)) / rows)
    if world == "noise and whole prompts":
        sign = np.where(random.random_sample(shape) < 0.5, 1.0, -1.0)
        noise = sign * random.binomial(rows, _NOISE, shape) / rows
        # A lost prompt is lost whole: what it did before counts no more, and means 0.
        return np.where(random.random_sample(shape) < loss, -1.0, noise)
    raise TaisError(f"no world named {world!r}; there are {', '.join(WORLDS)}")
