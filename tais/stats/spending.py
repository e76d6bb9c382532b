"""Levels of repeated looks at one test, so that together they err no more often than one look would."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["SPENDING", "nominal_levels", "obrien_fleming", "pocock", "spent_p"]

_POINTS = 1201
"""Grid of the recursion: bounds to 1e-5 of the published ones."""
_REACH = 9.0
_LARGEST_LEVEL = 0.3


def obrien_fleming(fraction: FloatArray, alpha: float) -> FloatArray:
    """Level spent by the time a share of the items is in, O'Brien-Fleming type: hardly any early.

    References
    ----------
    Lan, DeMets (1983), Biometrika 70, 659-663.
    """
    from scipy.special import ndtr, ndtri

    return np.asarray(2 * ndtr(-ndtri(1 - alpha / 2) / np.sqrt(fraction)))


def pocock(fraction: FloatArray, alpha: float) -> FloatArray:
    """Level spent, Pocock type: nearly even.

    References
    ----------
    Lan, DeMets (1983), Biometrika 70, 659-663.
    """
    return np.asarray(alpha * np.log1p((math.e - 1) * np.asarray(fraction)))


SPENDING: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
}


def spent_p(p: float, kind: str, before: float, now: float) -> float:
    """Least level of all looks together at which a p-value of one of them rejects.

    Parameters
    ----------
    p
        Of an exact test after this look.
    kind
        A key of `SPENDING`.
    before, now
        Shares of the items at the look before, 0 for the first look, and at this one, 1 for the last.

    Returns
    -------
    float
        Level alpha whose share that is spent between the two looks is `p`; at least `p`. 1 where no level
        up to 0.3 is enough: above, the share no longer rises with the level.

    Raises
    ------
    TaisError
        For an unknown kind, or shares that do not rise within [0, 1].

    Notes
    -----
    The shares of all looks add up to alpha, so that by Bonferroni's inequality the smallest value over the
    looks is a p-value, whatever the dependence between them and without a normal approximation.

    References
    ----------
    Lan, DeMets (1983), Biometrika 70, 659-663.
    """
    if kind not in SPENDING or not 0 <= before < now <= 1:
        raise TaisError(
            f"a look needs a spending of {', '.join(SPENDING)} and rising shares, not {before}, {now}"
        )

    def share(alpha: float) -> float:
        spend = SPENDING[kind]
        earlier = float(spend(np.asarray(before), alpha)) if before else 0.0
        return float(spend(np.asarray(now), alpha)) - earlier

    low, high = 0.0, _LARGEST_LEVEL
    if share(high) < p:
        return 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if share(middle) >= p else (middle, high)
    return max(high, p)


@lru_cache(maxsize=64)
def nominal_levels(kind: str, fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """One-sided level of every look.

    Parameters
    ----------
    kind
        A key of `SPENDING`.
    fractions
        Share of the planned items at each look, rising. The last look spends all that is left.
    alpha
        One-sided level of all looks together, in (0, 0.5).

    Returns
    -------
    tuple of float
        One level per look.

    Raises
    ------
    TaisError
        For an unknown kind, or fractions that do not rise from above 0.

    Notes
    -----
    The path of the statistic is taken as Brownian motion and its density is carried from look to look.

    References
    ----------
    Armitage, McPherson, Rowe (1969), Journal of the Royal Statistical Society A 132, 235-244.
    """
    from scipy.special import ndtr

    times = np.array(fractions, np.float64)
    if kind not in SPENDING or not len(times) or times[0] <= 0 or (np.diff(times) <= 0).any():
        raise TaisError(f"looks need a spending of {', '.join(SPENDING)} and rising shares, not {fractions}")
    spent = SPENDING[kind](np.minimum(times, 1.0), alpha)
    spent[-1] = alpha
    states, weights, before = np.zeros(1), np.ones(1), 0.0
    levels = []
    for time, share in zip(times, np.diff(spent, prepend=0.0), strict=True):
        step = math.sqrt(time - before)
        bound = _crossing(states, weights, step, float(share), math.sqrt(time))
        levels.append(float(ndtr(-bound / math.sqrt(time))))
        states, weights = _carry(states, weights, step, bound, math.sqrt(time))
        before = time
    return tuple(levels)


def _crossing(states: FloatArray, weights: FloatArray, step: float, share: float, scale: float) -> float:
    """Bound that paths still below all earlier ones cross with this probability."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    if share <= 1e-15:
        return _REACH * scale
    return float(
        brentq(lambda x: float(weights @ ndtr((states - x) / step)) - share, -_REACH * scale, _REACH * scale)
    )


def _carry(
    states: FloatArray, weights: FloatArray, step: float, bound: float, scale: float
) -> tuple[FloatArray, FloatArray]:
    """Density of the paths below the bound after one more step, as points and masses."""
    grid = np.linspace(-_REACH * scale, bound, _POINTS)
    density = np.exp(-(((grid[:, None] - states) / step) ** 2) / 2) @ weights
    masses = density * (grid[1] - grid[0]) / (step * math.sqrt(2 * math.pi))
    masses[[0, -1]] /= 2
    return grid, masses
