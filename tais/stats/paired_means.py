"""Equivalence of paired means."""

from __future__ import annotations

import math

import numpy as np

from tais.stats.paired import Tost, zero_discordance_bound
from tais.stats.proportions import FloatArray, normal_quantile

__all__ = ["means_to_decide", "t_tost"]

_LARGEST_N = 1_000_000


def t_tost(differences: FloatArray, margin: float, alpha: float = 0.05, *, one_sided: bool = False) -> Tost:
    """Two one-sided paired t-tests, never narrower than the evidence of n clusters allows.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, in [-1, 1], shape (clusters,).
    margin, alpha, one_sided
        As for :func:`tais.stats.paired.tost`.

    Returns
    -------
    Tost
        Its 1 - 2 alpha interval has the half-width sqrt((t s / sqrt n)^2 + (z^2 / (n + z^2))^2).

    Notes
    -----
    The second term is the score interval without discordance. A t-interval alone takes n equal differences
    for certainty and a few rare changes for very little; with it, fewer than 88 clusters cannot pass at
    0.03, as for binary outcomes. It vanishes as 1 / n.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    from scipy.special import stdtr, stdtrit

    n, centre = len(differences), float(differences.mean())
    floor = float(zero_discordance_bound(n, 1 - 2 * alpha))
    degrees = max(n - 1, 1)
    critical = float(stdtrit(degrees, 1 - alpha))
    error = float(np.std(differences, ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    half = math.hypot(critical * error, floor)
    scale = half / critical
    ci = (np.asarray(max(centre - half, -1.0)), np.asarray(min(centre + half, 1.0)))
    p_lower = np.asarray(stdtr(degrees, -(centre + margin) / scale))
    p_upper = np.asarray(stdtr(degrees, (centre - margin) / scale))
    return Tost("paired-t", p_lower, p_upper, ci, alpha, one_sided)


def means_to_decide(
    differences: FloatArray,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    one_sided: bool = False,
    level: float = 1.0,
) -> int | None:
    """Clusters with which the t-based rule decides with the wanted probability, at this mean and spread.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, shape (clusters,).
    margin, alpha, one_sided
        As for :func:`t_tost`.
    power
        Wanted probability, in (0, 1).
    level
        Two-sided level at which a fail must also differ from 0; 1 asks for no more than the interval.

    Returns
    -------
    int or None
        Clusters that pass where the mean lies within the margin, else that fail; None where it is the margin
        itself, or where 10^6 are not enough.

    Notes
    -----
    Normal approximation of the mean; the floor of the interval is kept.
    """
    mean = float(differences.mean())
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    distance = -mean if one_sided else abs(mean)
    if abs(distance - margin) < 1e-9:
        return None

    def enough(n: int) -> bool:
        if distance < margin:
            return _passing(n, mean, spread, margin, alpha, one_sided=one_sided) >= power
        return _failing(n, distance, spread, margin, alpha, level) >= power

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > _LARGEST_N:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _half(n: int, error: float, alpha: float) -> float:
    floor = float(zero_discordance_bound(n, 1 - 2 * alpha))
    return math.hypot(normal_quantile(1 - 2 * alpha) * error, floor)


def _passing(n: int, mean: float, spread: float, margin: float, alpha: float, *, one_sided: bool) -> float:
    from scipy.special import ndtr

    error = max(spread / math.sqrt(n), 1e-12)
    half = _half(n, error, alpha)
    below = float(ndtr((margin + mean - half) / error))
    above = 1.0 if one_sided else float(ndtr((margin - mean - half) / error))
    return below + above - 1


def _failing(n: int, distance: float, spread: float, margin: float, alpha: float, level: float) -> float:
    from scipy.special import ndtr

    error = max(spread / math.sqrt(n), 1e-12)
    beyond = float(ndtr((distance - margin - _half(n, error, alpha)) / error))
    if level >= 1:
        return beyond
    # Signs of n clusters allow no two-sided p below 2^(1 - n).
    possible = 2.0 ** (1 - n) < level
    return min(beyond, float(ndtr(distance / error - normal_quantile(1 - level)))) if possible else 0.0
