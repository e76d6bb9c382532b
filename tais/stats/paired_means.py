"""Equivalence of paired means: scores, and outcomes of prompts that were asked several times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.paired import Tost
from tais.stats.proportions import Bounds, FloatArray, normal_quantile

__all__ = ["Moments", "means_to_decide", "score_tost"]

_LARGEST_N = 1_000_000


@dataclass(frozen=True, slots=True)
class Moments:
    """What a test of a mean reads of its clusters; fields are scalars or arrays that broadcast."""

    n: ArrayLike
    """Clusters."""
    mean: ArrayLike
    """Of the cluster differences, each in [-1, 1]."""
    variance: ArrayLike
    """Divided by n."""
    third: ArrayLike
    """Third central moment, divided by n."""

    @classmethod
    def of(cls, differences: FloatArray) -> Moments:
        """Return the moments of cluster differences, shape (clusters,)."""
        if len(differences) == 0:
            raise TaisError("a mean needs at least one cluster")
        return cls.of_sums(len(differences), *((differences**k).sum() for k in (1, 2, 3)))

    @classmethod
    def of_sums(cls, n: ArrayLike, total: ArrayLike, squares: ArrayLike, cubes: ArrayLike) -> Moments:
        """Return the moments of sums of the differences, of their squares and of their cubes."""
        count = np.asarray(n, np.float64)
        first, second, third = (np.asarray(x, np.float64) / count for x in (total, squares, cubes))
        variance = np.maximum(second - first**2, 0)
        # Below this the variance is rounding.
        variance = np.where(variance < 1e-15, 0.0, variance)
        return cls(count, first, variance, third - 3 * first * second + 2 * first**3)

    def upper(self, z: float) -> FloatArray:
        """Upper bound of the mean where the score statistic reaches -z."""
        n, mean, variance, third = self._arrays()
        with np.errstate(divide="ignore"):
            spread = z * np.sqrt(np.where(n > z * z, variance / np.maximum(n - z * z, 1e-12), 1.0))
        half = np.maximum(spread + np.maximum(_skew(n, variance, third, z), 0), z * z / (n + z * z))
        return np.asarray(np.minimum(mean + half, 1.0))

    def lower(self, z: float) -> FloatArray:
        """Lower bound of the mean where the score statistic reaches z."""
        return -self._mirrored().upper(z)

    def p_worse(self, margin: float, z: float) -> FloatArray:
        """P-value against a mean of -margin or less."""
        return self._mirrored().p_better(margin, z)

    def p_better(self, margin: float, z: float) -> FloatArray:
        """P-value against a mean of +margin or more."""
        from scipy.special import ndtr

        n, mean, variance, third = self._arrays()
        gap = mean + np.maximum(_skew(n, variance, third, z), 0) - margin
        with np.errstate(invalid="ignore"):
            score = np.nan_to_num(gap * np.sqrt(n / (variance + gap**2)), nan=0.0)
        short = np.clip(margin - mean, 0, 1 - 1e-12)
        return np.asarray(
            ndtr(np.where(gap < 0, np.maximum(score, -np.sqrt(n * short / (1 - short))), score))
        )

    def _mirrored(self) -> Moments:
        return Moments(self.n, -np.asarray(self.mean), self.variance, -np.asarray(self.third))

    def _arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        n, mean, variance, third = np.broadcast_arrays(
            *(np.asarray(x, np.float64) for x in (self.n, self.mean, self.variance, self.third))
        )
        return n, mean, variance, third


def _skew(n: FloatArray, variance: FloatArray, third: FloatArray, z: float) -> FloatArray:
    """How far the skewness of the differences moves a bound (Johnson 1978, solved at the bound)."""
    return np.asarray(third * (1 + 2 * z * z) / (6 * n * np.where(variance > 0, variance, np.inf)))


def score_tost(
    differences: FloatArray, margin: float, alpha: float = 0.05, *, one_sided: bool = False
) -> Tost:
    """Two one-sided score tests of the mean of paired differences, clusters as units.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, in [-1, 1], shape (clusters,).
    margin, alpha, one_sided
        As for :func:`tais.stats.paired.tost`.

    Returns
    -------
    Tost
        Equivalent if and only if the 1 - 2 alpha interval lies inside the margin.

    Raises
    ------
    TaisError
        Where there is no cluster.

    Notes
    -----
    At a hypothetical mean x the statistic is sqrt(n) (d - x) / sqrt(s^2 + (d - x)^2), with the variance of
    the clusters about x, as Obuchowski takes it for clustered pairs. A bound is moved outwards, and never
    inwards, by the skewness of the differences (Johnson), and lies no nearer than that of n equal pairs,
    z^2 / (n + z^2): fewer than 88 clusters cannot pass at 0.03, and rare changes that no cluster shows are
    allowed for.

    Where every cluster changed by -1, 0 or 1 Tango's test is the sharper one. Simulated size at the margin:
    the tables of docs/statistics.md; above alpha only where flips are few and all in one direction.

    References
    ----------
    Obuchowski (1998), Statistics in Medicine 17, 1495-1507.
    Johnson (1978), Journal of the American Statistical Association 73, 536-544.
    """
    moments, z = Moments.of(differences), normal_quantile(1 - 2 * alpha)
    ci: Bounds = (moments.lower(z), moments.upper(z))
    worse, better = moments.p_worse(margin, z), moments.p_better(margin, z)
    return Tost("cluster-score", worse, better, ci, alpha, one_sided)


def means_to_decide(
    differences: FloatArray,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    one_sided: bool = False,
    level: float = 1.0,
) -> int | None:
    """Clusters with which :func:`score_tost` decides with the wanted probability, at this mean and spread.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, shape (clusters,).
    margin, alpha, one_sided
        As for :func:`score_tost`.
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
    Normal approximation of the mean; the least half-width of the test is kept, the skewness is left out.
    """
    mean, spread = float(differences.mean()), float(np.std(differences))
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


def _clear(n: int, spread: float, alpha: float) -> float:
    """How far from the margin a mean must lie to be told from it."""
    z = normal_quantile(1 - 2 * alpha)
    return max(z * spread / math.sqrt(n - z * z), z * z / (n + z * z)) if n > z * z else 2.0


def _passing(n: int, mean: float, spread: float, margin: float, alpha: float, *, one_sided: bool) -> float:
    from scipy.special import ndtr

    error = max(spread / math.sqrt(n), 1e-12)
    clear = _clear(n, spread, alpha)
    below = float(ndtr((margin + mean - clear) / error))
    above = 1.0 if one_sided else float(ndtr((margin - mean - clear) / error))
    return below + above - 1


def _failing(n: int, distance: float, spread: float, margin: float, alpha: float, level: float) -> float:
    from scipy.special import ndtr

    error = max(spread / math.sqrt(n), 1e-12)
    beyond = float(ndtr((distance - margin - _clear(n, spread, alpha)) / error))
    if level >= 1:
        return beyond
    # Signs of n clusters allow no two-sided p below 2^(1 - n).
    possible = 2.0 ** (1 - n) < level
    return min(beyond, float(ndtr(distance / error - normal_quantile(1 - level)))) if possible else 0.0
