"""Paired binary outcomes: the table, the score interval and test of the difference, McNemar's test.

Differences are candidate minus reference everywhere. A table may hold arrays: one call then serves all
endpoints, bootstrap replicates or grid cells at once. Counts may be fractional, since the table of a
clustered endpoint is the mean table of drawing one row per cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import Bounds, FloatArray, normal_quantile

__all__ = [
    "PairedTable",
    "Tost",
    "mcnemar",
    "mcnemar_fall",
    "restricted_rates",
    "tango_interval",
    "tango_statistic",
    "tost",
    "zero_discordance_bound",
]

_BISECTIONS = 56
"""Halvings of [-1, 1]: bounds to 3e-17, beyond what the statistic itself resolves."""


@dataclass(frozen=True, slots=True)
class PairedTable:
    """Counts of paired outcomes; 1 is the expected (safe, correct) outcome.

    Fields are scalars or arrays that broadcast, finite and not negative.
    """

    both: ArrayLike
    reference_only: ArrayLike
    candidate_only: ArrayLike
    neither: ArrayLike

    def cells(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the four counts as float arrays of one shape.

        Raises
        ------
        TaisError
            Where a count is negative or not finite, or where a table is empty.
        """
        cells = np.broadcast_arrays(
            *(np.asarray(x, np.float64) for x in (self.both, self.reference_only)),
            *(np.asarray(x, np.float64) for x in (self.candidate_only, self.neither)),
        )
        a, b, c, d = cells
        # A sum is finite only if each part is, and NaN fails every comparison.
        n = a + b + c + d
        if not (np.isfinite(n).all() and all((x >= 0).all() for x in cells)):
            raise TaisError("a paired table needs finite counts that are not negative")
        if not (n > 0).all():
            raise TaisError("a paired table without pairs has no statistics")
        return a, b, c, d

    @property
    def n(self) -> FloatArray:
        """Number of pairs."""
        a, b, c, d = self.cells()
        return a + b + c + d

    @property
    def difference(self) -> FloatArray:
        """Candidate rate minus reference rate."""
        a, b, c, d = self.cells()
        return (c - b) / (a + b + c + d)

    @property
    def reference_rate(self) -> FloatArray:
        """Rate of the expected outcome in the reference."""
        a, b, c, d = self.cells()
        return (a + b) / (a + b + c + d)

    @property
    def candidate_rate(self) -> FloatArray:
        """Rate of the expected outcome in the candidate."""
        a, b, c, d = self.cells()
        return (a + c) / (a + b + c + d)


@dataclass(frozen=True, slots=True)
class Tost:
    """Two one-sided tests; arrays of the table's shape."""

    method: str
    p_lower: FloatArray
    """Against "the candidate is worse by the margin or more"."""
    p_upper: FloatArray
    """Against "the candidate is better by the margin or more"."""
    ci: Bounds
    """The 1 - 2 alpha interval of the difference."""
    alpha: float
    one_sided: bool = False
    """Non-inferiority: only the lower test counts."""

    @property
    def p(self) -> FloatArray:
        """P-value of the hypothesis: the larger of the two, or the lower one's alone."""
        return self.p_lower if self.one_sided else np.maximum(self.p_lower, self.p_upper)

    @property
    def equivalent(self) -> NDArray[np.bool_]:
        """Whether every test that counts rejects."""
        return np.asarray(self.p < self.alpha)


def _restricted_reference_only(b: FloatArray, c: FloatArray, n: FloatArray, d: FloatArray) -> FloatArray:
    """Maximum-likelihood probability of "reference only" given the difference `d`."""
    quadratic = -b - c + (2 * n - c + b) * d
    constant = b * d * (1 - d)
    root = np.sqrt(np.maximum(quadratic**2 + 8 * n * constant, 0))
    # The same root written without cancellation where the linear term is positive.
    positive = quadratic > 0
    small = 2 * constant / np.where(positive, quadratic + root, 1.0)
    estimate = np.where(positive, small, (root - quadratic) / (4 * n))
    return np.asarray(np.minimum(np.maximum(np.maximum(estimate, -d), 0), (1 - d) / 2))


def tango_statistic(table: PairedTable, difference: ArrayLike) -> FloatArray:
    """Score statistic of the hypothesis that candidate minus reference equals `difference`.

    Parameters
    ----------
    table
        Paired counts.
    difference
        Hypothetical difference in [-1, 1]; broadcasts with the table.

    Returns
    -------
    FloatArray
        Standard normal under the hypothesis; falls as `difference` rises. Infinite where the
        restricted variance is zero and the observed difference is another.

    References
    ----------
    Tango (1998), Statistics in Medicine 17, 891-908.
    """
    a, b, c, d = table.cells()
    return _score(b, c, a + b + c + d, np.asarray(difference, np.float64))


def _score(b: FloatArray, c: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    numerator = c - b - n * delta
    q = _restricted_reference_only(b, c, n, delta)
    variance = n * np.maximum(2 * q + delta * (1 - delta), 0)
    # Below this the variance is rounding: at the ends of [-1, 1] it is zero exactly.
    degenerate = variance <= 1e-14 * n
    score = np.asarray(numerator / np.sqrt(np.where(degenerate, 1.0, variance)))
    if degenerate.any():
        with np.errstate(invalid="ignore"):
            limit = np.where(np.abs(numerator) <= 1e-12 * n, 0.0, np.sign(numerator) * np.inf)
        score = np.where(degenerate, limit, score)
    return score


def restricted_rates(table: PairedTable, difference: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Maximum-likelihood reference and candidate rates given their difference.

    Discordant cells follow Tango's restricted estimate; the concordant mass keeps its observed split
    (half and half where there is none).
    """
    a, b, c, d = table.cells()
    n = a + b + c + d
    delta = np.asarray(difference, np.float64)
    only_reference = _restricted_reference_only(b, c, n, delta)
    only_candidate = np.maximum(only_reference + delta, 0)
    share = np.where(a + d > 0, a / np.where(a + d > 0, a + d, 1), 0.5)
    both = np.maximum(1 - only_reference - only_candidate, 0) * share
    return np.clip(both + only_reference, 0, 1), np.clip(both + only_candidate, 0, 1)


def zero_discordance_bound(n: ArrayLike, confidence: float) -> FloatArray:
    """Half-width of the score interval when no pair is discordant: z^2 / (n + z^2)."""
    z2 = normal_quantile(confidence) ** 2
    return np.asarray(z2 / (np.asarray(n, np.float64) + z2))


def tango_interval(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Score interval for a difference of paired proportions.

    Parameters
    ----------
    table
        Paired counts, scalars or arrays.
    confidence
        Two-sided, in (0, 1). TOST at level alpha reads the 1 - 2 alpha interval.

    Returns
    -------
    Bounds
        Bounds of candidate minus reference, in [-1, 1].

    Raises
    ------
    TaisError
        Where the table is not one or the confidence not in (0, 1).

    Notes
    -----
    Slightly liberal for discordance in one direction at n < 200; the exact test decides there on
    request. Without discordance the bounds are +/- z^2 / (n + z^2): never a point.

    References
    ----------
    Tango (1998), Statistics in Medicine 17, 891-908.
    """
    a, b, c, d = table.cells()
    z = normal_quantile(confidence)
    n = a + b + c + d
    half = zero_discordance_bound(n, confidence)
    quiet = (b == 0) & (c == 0)
    if quiet.all():
        return -half, half
    centre = (c - b) / n
    # Both bounds at once: the statistic falls with the difference, from z at the lower to -z at the upper.
    level = np.stack([np.full_like(centre, z), np.full_like(centre, -z)])
    low = np.stack([np.full_like(centre, -1.0), centre])
    high = np.stack([centre, np.full_like(centre, 1.0)])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = _score(b, c, n, middle) > level
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    bounds = (low + high) / 2
    return np.where(quiet, -half, bounds[0]), np.where(quiet, half, bounds[1])


def tost(table: PairedTable, margin: ArrayLike, alpha: float = 0.05, *, one_sided: bool = False) -> Tost:
    """Equivalence of paired proportions: two one-sided score tests.

    Parameters
    ----------
    table
        Paired counts.
    margin
        Largest tolerated difference, in (0, 1); broadcasts with the table.
    alpha
        Level of each one-sided test, in (0, 0.5).
    one_sided
        Non-inferiority: the candidate may be better by any amount.

    Returns
    -------
    Tost
        Equivalent if and only if the 1 - 2 alpha interval lies inside the margin.

    Raises
    ------
    TaisError
        Where the margin or alpha lies outside its range.

    Notes
    -----
    Its size at the margin is at most about 0.07 for n >= 88 and tends to alpha; with one-directional
    discordance it is 0.97^88 = 0.0685 at n = 88, margin 0.03.

    References
    ----------
    Liu, Hsueh, Hsieh, Chen (2002), Statistics in Medicine 21, 231-245.
    """
    from scipy.special import ndtr

    m = np.asarray(margin, np.float64)
    if not (np.all((m > 0) & (m < 1)) and 0 < alpha < 0.5):
        raise TaisError(
            f"an equivalence test needs a margin in (0, 1) and alpha in (0, 0.5), not {margin!r}, {alpha}"
        )
    p_lower = np.asarray(ndtr(-tango_statistic(table, -m)))
    p_upper = np.asarray(ndtr(tango_statistic(table, m)))
    return Tost("tango", p_lower, p_upper, tango_interval(table, 1 - 2 * alpha), alpha, one_sided)


def mcnemar(reference_only: ArrayLike, candidate_only: ArrayLike, *, mid_p: bool = True) -> FloatArray:
    """Two-sided McNemar test that flips go either way alike.

    Says something about direction only: a large p is no evidence of equivalence.

    Parameters
    ----------
    reference_only, candidate_only
        Whole discordant counts.
    mid_p
        Mid-p version, else the exact conditional test.

    Returns
    -------
    FloatArray
        P-values; 1 without discordance.

    Notes
    -----
    In closed form over arrays: statsmodels' `mcnemar` takes one table at a time and has no mid-p version.

    References
    ----------
    Fagerland, Lydersen, Laake (2013), BMC Medical Research Methodology 13, 91.
    """
    from scipy.special import bdtr, gammaln

    b, c = np.broadcast_arrays(np.asarray(reference_only, np.float64), np.asarray(candidate_only, np.float64))
    total, fewer = b + c, np.minimum(b, c)
    tail = np.where(total > 0, bdtr(fewer, np.maximum(total, 1).astype(np.int64), 0.5), 1.0)
    if not mid_p:
        return np.asarray(np.minimum(2 * tail, 1.0))
    point = np.exp(gammaln(total + 1) - gammaln(b + 1) - gammaln(c + 1) - total * np.log(2))
    value = np.where(b == c, 1 - point / 2, 2 * tail - point)
    return np.where(total > 0, np.clip(value, 0, 1), 1.0)


def mcnemar_fall(reference_only: ArrayLike, candidate_only: ArrayLike) -> FloatArray:
    """One-sided exact McNemar test that the candidate is worse.

    Parameters
    ----------
    reference_only, candidate_only
        Whole discordant counts.

    Returns
    -------
    FloatArray
        P(X >= reference_only) of a binomial X of all flips at 1/2; 1 without discordance.
    """
    from scipy.special import bdtrc

    b, c = np.broadcast_arrays(np.asarray(reference_only, np.float64), np.asarray(candidate_only, np.float64))
    tail = bdtrc(np.maximum(b - 1, 0), np.maximum(b + c, 1).astype(np.int64), 0.5)
    return np.asarray(np.where(b > 0, tail, 1.0))
