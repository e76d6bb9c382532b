"""Levels of repeated looks at one test, so that together they err no more often than one look would."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["SPENDING", "nominal_levels", "obrien_fleming", "pocock"]

_POINTS = 1201
"""Grid of the recursion: bounds to 1e-5 of the published ones."""
_REACH = 9.0


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
