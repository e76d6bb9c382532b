"""How far one more run of a stack may stand from its reference, predicted from the A/A runs that are known.

The noise of a stack is known only from its A/A runs. A quantile at their share of flips takes this share for
the truth, so that honest runs lie beyond it too often, most of all where the A/A runs flipped hardly at all.
The predictive distribution averages over the shares that could have given what the A/A runs show. Where
several starts of the stack are known, what differs from start to start widens it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = [
    "ONE_START",
    "AgainstItself",
    "StartSpread",
    "predicted_count",
    "predicted_difference",
    "spread_difference",
    "start_spread",
]

_NODES = 2049
"""Counts at which a wide distribution is summed."""
_TAIL = 1e-9


@dataclass(frozen=True, slots=True)
class AgainstItself:
    """One run of a stack against another run of it."""

    n: float
    """Clusters (answers, where answers are counted)."""
    flips: float
    """Clusters that differ; the sum of squared differences where these are fractional."""
    shift: float = 0.0
    """Sum of the signed differences."""
    reach: float = 0.0
    """Sum of their absolute values: what the shift would be, did all go one way."""


@dataclass(frozen=True, slots=True)
class StartSpread:
    """What two items of one start have in common, as a correlation; 0 where one start alone is known."""

    runs: int = 1
    """A/A runs that it was estimated from."""
    rate: float = 0.0
    """Of whether they flip."""
    lean: float = 0.0
    """Of which way they flip."""

    @property
    def none(self) -> bool:
        """Whether starts differ by no more than their items explain."""
        return self.rate == 0 and self.lean == 0


ONE_START = StartSpread()
"""One run tells nothing of how starts differ."""


def start_spread(runs: Sequence[AgainstItself]) -> StartSpread:
    """Estimate by moments how far starts differ beyond what their items explain.

    Parameters
    ----------
    runs
        A/A runs of one reference, each a fresh start.

    Returns
    -------
    StartSpread
        Both correlations cut off at 0; 0 for a single run, which cannot show them.

    Notes
    -----
    With m runs of n items, p the pooled share, X^2 = sum (k - n p)^2 / (n p (1 - p)) has the expectation
    m - 1 + rate * sum (n - 1)(1 - n / N). The square of a shift of k flips has k + lean * k (k - 1). Few
    starts estimate neither well; docs/statistics.md says how often honest runs then lie beyond the floor.

    References
    ----------
    Ridout, Demetrio, Firth (1999), Biometrics 55, 137-148 (moment estimators of the intraclass correlation).
    """
    if len(runs) < 2:
        return StartSpread(len(runs))
    n, flips, shift, reach = (
        np.array(values, np.float64)
        for values in zip(*((r.n, r.flips, r.shift, r.reach) for r in runs), strict=True)
    )
    share, total = flips.sum() / n.sum(), n.sum()
    rate = lean = 0.0
    if 0 < share < 1 and (n > 1).any():
        excess = float((((flips - n * share) ** 2) / (n * share * (1 - share))).sum()) - (len(runs) - 1)
        rate = max(excess / float(((n - 1) * (1 - n / total)).sum()), 0.0)
    pairs = float((reach**2 - flips).sum())
    if pairs > 0:
        lean = max(float((shift**2 - flips).sum()) / pairs, 0.0)
    return StartSpread(len(runs), min(rate, 0.99), min(lean, 1.0))


def _beta(n: float, flips: float, spread: StartSpread) -> tuple[float, float]:
    """Shape of the share of flips of one more run."""
    if spread.rate == 0:
        return flips + 1, max(n - flips, 1e-9)
    mean = (flips + 1) / (n + 1)
    # Of the variance mean (1 - mean) / (a + b + 1): what is unknown of the mean, and what starts add.
    variance = 1 / (n + 2) + spread.rate * (1 + 1 / spread.runs)
    size = max(1 / min(variance, 0.99) - 1, 1e-9)
    return mean * size, max((1 - mean) * size, 1e-9)


def _counts(n: int, shape: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Numbers of flips among n that carry mass, and their probabilities (beta-binomial)."""
    from scipy.special import betaln
    from scipy.stats import beta

    a, b = shape
    low, high = (float(x) for x in beta.ppf([_TAIL, 1 - _TAIL], a, b))
    return _law(n, low, high, lambda k: betaln(k + a, n - k + b) - betaln(a, b))


def _binomial(n: int, share: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import xlog1py, xlogy

    return _law(n, share, share, lambda k: xlogy(k, share) + xlog1py(n - k, -share))


def _law(
    n: int, low: float, high: float, log_share: Callable[[FloatArray], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return counts of n that carry mass, and their probabilities, given the logarithm of one flip pattern's.

    Beyond the shares `low` and `high`, and 8 standard deviations of the items, nothing is left to count.
    """
    from scipy.special import gammaln

    first = max(int(n * low - 8 * np.sqrt(n * low * (1 - low)) - 30), 0)
    last = min(int(n * high + 8 * np.sqrt(n * high * (1 - high)) + 30), n)
    k = np.unique(np.linspace(first, last, min(last - first + 1, _NODES)).round())
    mass = np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + log_share(k))
    return k, mass / mass.sum()


def predicted_count(
    n: int, known: AgainstItself, quantile: float = 0.99, spread: StartSpread | None = None
) -> int:
    """Upper prediction limit of how many of n answers differ in one more run of the same stack.

    Parameters
    ----------
    n
        Answers of the run.
    known
        A/A runs, pooled.
    quantile
        In (0.5, 1).
    spread
        Of the starts; None for none.

    Returns
    -------
    int
        Smallest k that the beta-binomial law with the shape (flips + 1, n - flips) of `known` does not exceed
        with probability `quantile`.

    Notes
    -----
    Without a spread this is the limit of the exact conditional (hypergeometric) test: the probability that an
    honest run lies beyond it is at most 1 - quantile at every share of flips.

    References
    ----------
    Thatcher (1964), Journal of the Royal Statistical Society B 26, 176-192.
    """
    _check(n, known)
    k, mass = _counts(n, _beta(known.n, known.flips, spread or ONE_START))
    return int(k[np.searchsorted(np.cumsum(mass), quantile - 1e-12)])


@lru_cache(maxsize=4096)
def predicted_difference(
    n: int,
    known: AgainstItself,
    quantile: float = 0.99,
    *,
    spread: StartSpread | None = None,
    one_sided: bool = False,
) -> int:
    """Quantile of the difference in counts between the reference and one more run of the same stack.

    Parameters
    ----------
    n
        Pairs (clusters).
    known
        A/A runs, pooled.
    quantile
        In (0.5, 1).
    spread
        Of the starts; None for none.
    one_sided
        Quantile of the signed difference instead of its absolute value.

    Returns
    -------
    int
        Smallest s with P(|S| <= s) >= quantile.

    Notes
    -----
    S is the shift of as many flips as :func:`predicted_count` draws: each goes either way alike, and with a
    lean they go the same way more often (then by the normal law with the variance k + lean k (k - 1)).
    """
    _check(n, known)
    spread = spread or ONE_START
    k, mass = _counts(n, _beta(known.n, known.flips, spread))
    return _smallest_shift(k, mass, quantile, spread.lean, one_sided=one_sided)


@lru_cache(maxsize=4096)
def spread_difference(
    n: int, share: float, spread: StartSpread, quantile: float = 0.99, *, one_sided: bool = False
) -> int:
    """Quantile of the difference in counts where the share of flips is known and starts differ.

    As :func:`tais.stats.null.difference_quantile`, which it is without a spread.
    """
    if spread.rate > 0 and 0 < share < 1:
        size = 1 / spread.rate - 1
        k, mass = _counts(n, (share * size, (1 - share) * size))
    else:
        k, mass = _binomial(n, share)
    return _smallest_shift(k, mass, quantile, spread.lean, one_sided=one_sided)


def _smallest_shift(k: FloatArray, mass: FloatArray, quantile: float, lean: float, *, one_sided: bool) -> int:
    low, high = -1, int(k[-1])
    while high - low > 1:
        middle = (low + high) // 2
        tail = float(mass @ _beyond(k, middle, lean)) * (0.5 if one_sided else 1.0)
        low, high = (low, middle) if tail <= 1 - quantile + 1e-12 else (middle, high)
    return high


def _beyond(k: FloatArray, shift: int, lean: float) -> FloatArray:
    """P(|S| > shift) of k flips, shape of k."""
    from scipy.special import bdtrc, ndtr

    if lean > 0:
        variance = np.maximum(k + lean * k * (k - 1), 1e-12)
        return np.asarray(
            np.where(k > shift, np.minimum(2 * ndtr(-(shift + 0.5) / np.sqrt(variance)), 1.0), 0.0)
        )
    # The flips one way are binomial: more than (k + shift) / 2 of them.
    up = np.minimum((k + shift) // 2, k - 1)
    return np.asarray(np.where(k > shift, np.minimum(2 * bdtrc(up, k.astype(np.int64), 0.5), 1.0), 0.0))


def _check(n: int, known: AgainstItself) -> None:
    if n <= 0 or known.n <= 0 or not 0 <= known.flips <= known.n:
        raise TaisError(
            f"a prediction needs n > 0 and flips among the known, not {n} and {known.flips} of {known.n}"
        )
