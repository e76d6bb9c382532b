"""Cluster bootstrap and effective n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tais.errors import TaisError
from tais.stats.paired import zero_discordance_bound
from tais.stats.proportions import FloatArray, Interval

__all__ = ["REPLICATES", "Bootstrap", "cluster_bootstrap", "effective_n", "resample_means"]

REPLICATES = 10_000
_GROUPED = 512
"""Distinct values up to which replicates are drawn as counts per value instead of item by item."""
_BLOCK = 4_000_000
"""Draws held in memory at once (32 MB of indices)."""
_BINS = 4096


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Interval of a mean over resampled clusters."""

    method: str
    """bca, percentile, or "score (no variance)" where resampling shows none."""
    ci: Interval
    replicates: int


def resample_means(values: FloatArray, replicates: int = REPLICATES, seed: int = 0) -> FloatArray:
    """Means of bootstrap resamples.

    Parameters
    ----------
    values
        One value per cluster, shape (clusters,).
    replicates
        Number of resamples.
    seed
        Of NumPy's frozen RandomState stream, so that a report can be recomputed digit by digit.

    Returns
    -------
    FloatArray
        Shape (replicates,).

    Notes
    -----
    Equal values are drawn together as multinomial counts: the cost depends on the number of distinct
    values, not on n. Beyond 40,000 clusters of many values, these are first rounded to 1 / 4096 of their
    range.
    """
    if len(values) == 0:
        raise TaisError("a bootstrap needs at least one cluster")
    random = np.random.RandomState(seed)
    if len(values) > 40_000 and len(distinct := np.unique(values)) > _GROUPED:
        low, width = distinct[0], (distinct[-1] - distinct[0]) / _BINS
        values = low + width * np.round((values - low) / width)
    kinds, counts = np.unique(values, return_counts=True)
    if len(kinds) <= _GROUPED or len(values) > 40_000:
        blocks = max(1, replicates * len(kinds) // _BLOCK)
        sizes = [len(x) for x in np.array_split(np.arange(replicates), blocks)]
        shares = counts / counts.sum()
        drawn = [random.multinomial(len(values), shares, size) @ kinds for size in sizes]
        return np.concatenate(drawn) / len(values)
    means = np.empty(replicates)
    step = max(1, _BLOCK // len(values))
    for start in range(0, replicates, step):
        size = min(step, replicates - start)
        means[start : start + size] = values[random.randint(0, len(values), (size, len(values)))].mean(axis=1)
    return means


def cluster_bootstrap(
    differences: FloatArray, confidence: float = 0.90, replicates: int = REPLICATES, seed: int = 0
) -> Bootstrap:
    """Bias-corrected and accelerated interval of the mean difference, clusters resampled whole.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, in [-1, 1], shape (clusters,).
    confidence
        Two-sided, in (0, 1).
    replicates, seed
        As for :func:`resample_means`.

    Returns
    -------
    Bootstrap
        Where all differences are equal, resampling shows no variance: the closed form of the score
        interval with n = clusters stands in, so five clusters are never equivalent.

    References
    ----------
    Efron (1987), Journal of the American Statistical Association 82, 171-185.
    """
    from scipy.special import ndtr, ndtri

    centre, n = float(differences.mean()), len(differences)
    if np.ptp(differences) < 1e-12:
        half = float(zero_discordance_bound(n, confidence))
        return Bootstrap("score (no variance)", (max(centre - half, -1.0), min(centre + half, 1.0)), 0)
    means = np.sort(resample_means(differences, replicates, seed))
    # Ties with the observed mean count half: the distribution is discrete where flips are few.
    below = np.searchsorted(means, centre - 1e-12) + np.searchsorted(means, centre + 1e-12)
    bias = float(ndtri(np.clip(below / (2 * replicates), 1 / replicates, 1 - 1 / replicates)))
    deviation = differences - centre
    acceleration = float((deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5))
    z = ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    levels = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
    low, high = np.quantile(means, levels)
    return Bootstrap("bca", (float(low), float(high)), replicates)


def effective_n(differences: FloatArray, discordance: float) -> float:
    """Independent pairs that the clusters are worth.

    The number n at which independent pairs of the same discordance and difference would have the
    variance that the cluster means show. The number of clusters where nothing varies.

    Parameters
    ----------
    differences
        Cluster means, shape (clusters,).
    discordance
        Mean over clusters of the share of discordant rows.
    """
    k = len(differences)
    if k < 2 or np.ptp(differences) < 1e-12:
        return float(k)
    independent = discordance - float(differences.mean()) ** 2
    return float(independent / (np.var(differences, ddof=1) / k))
