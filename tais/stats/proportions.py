"""Intervals for one proportion.

Every function takes counts (scalars or arrays that broadcast; cluster means make them fractional) and
returns a lower and an upper bound of the broadcast shape.

Agresti-Coull and Jeffreys are those of statsmodels. Every decision needs Wilson and Clopper-Pearson, and to
import statsmodels (pandas and all of scipy.stats with it) takes half as long as to decide a screen of 64,855
answers: those two stay closed forms here, equal to statsmodels' to 1e-12.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError

__all__ = [
    "Bounds",
    "FloatArray",
    "Interval",
    "agresti_coull",
    "as_interval",
    "clopper_pearson",
    "jeffreys",
    "normal_quantile",
    "wilson",
]

FloatArray = NDArray[np.float64]
Bounds = tuple[FloatArray, FloatArray]
Interval = tuple[float, float]


def normal_quantile(confidence: float) -> float:
    """Two-sided standard normal quantile.

    Raises
    ------
    TaisError
        Where `confidence` is not in (0, 1).
    """
    if not 0 < confidence < 1:
        raise TaisError(f"confidence {confidence} is not in (0, 1)")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def as_interval(bounds: Bounds) -> Interval:
    """Turn zero-dimensional bounds into two floats."""
    return float(bounds[0]), float(bounds[1])


def wilson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Score interval of a proportion; the default everywhere.

    Parameters
    ----------
    successes, n
        Counts, 0 <= successes <= n and n > 0; any shapes that broadcast.
    confidence
        Two-sided, in (0, 1).

    Returns
    -------
    Bounds
        Lower and upper bound in [0, 1].

    Raises
    ------
    TaisError
        Where the counts are not counts.

    Notes
    -----
    Coverage is nominal on average and dips to about 0.90 at 95 % for rates beyond 0.02 or 0.98.
    A closed form, with exact ends where all or none succeed; statsmodels' may be a rounding below 0 there.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    x, m = _counts(successes, n)
    z2 = normal_quantile(confidence) ** 2
    centre = (x + z2 / 2) / (m + z2)
    # max() keeps rounding at the ends from leaving a negative number under the root.
    half = np.sqrt(np.maximum(z2 * (x * (m - x) / m + z2 / 4), 0)) / (m + z2)
    low = np.where(x == 0, 0.0, np.clip(centre - half, 0, 1))
    return low, np.where(x == m, 1.0, np.clip(centre + half, 0, 1))


def agresti_coull(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Adjusted Wald interval about the centre of the Wilson interval.

    Conservative near 0 and 1; parameters, bounds and errors as for :func:`wilson`.

    References
    ----------
    Agresti, Coull (1998), The American Statistician 52, 119-126.
    """
    return _of_statsmodels("agresti_coull", successes, n, confidence)


def jeffreys(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Equal-tailed posterior interval under the Jeffreys prior, Beta(1/2, 1/2).

    Parameters, bounds and errors as for :func:`wilson`.

    References
    ----------
    Brown, Cai, DasGupta (2001), Statistical Science 16, 101-133.
    """
    return _of_statsmodels("jeffreys", successes, n, confidence)


def clopper_pearson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Bounds:
    """Exact interval by inversion of the binomial test; never below its nominal coverage.

    Parameters, bounds and errors as for :func:`wilson`; a closed form, as there.

    References
    ----------
    Clopper, Pearson (1934), Biometrika 26, 404-413.
    """
    from scipy.special import betaincinv

    x, m = _counts(successes, n)
    tail = _tail(confidence)
    low = np.where(x > 0, betaincinv(np.where(x > 0, x, 1), m - x + 1, tail), 0.0)
    high = np.where(x < m, betaincinv(x + 1, np.where(x < m, m - x, 1), 1 - tail), 1.0)
    return low, high


def _of_statsmodels(method: str, successes: ArrayLike, n: ArrayLike, confidence: float) -> Bounds:
    # Heavy.
    from statsmodels.stats.proportion import proportion_confint

    normal_quantile(confidence)
    x, m = _counts(successes, n)
    low, high = proportion_confint(x, m, alpha=1 - confidence, method=method)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _tail(confidence: float) -> float:
    normal_quantile(confidence)
    return (1 - confidence) / 2


def _counts(successes: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, m = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    if not np.all((x >= 0) & (x <= m) & (m > 0)):
        raise TaisError("a proportion needs 0 <= successes <= n and n > 0")
    return x, m
