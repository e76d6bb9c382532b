"""What the same stack does against itself: the null distribution of the difference and of Cohen's h.

Two runs of one stack (A/A) disagree on a share psi of the items. If flips go either way alike, the
difference in counts is a sum of n independent steps in {-1, 0, 1} with probabilities psi / 2, 1 - psi,
psi / 2. Its distribution is computed, not sampled, at the n and the base rate of the contrast under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.effect import cohens_h
from tais.stats.predictive import (
    ONE_START,
    AgainstItself,
    StartSpread,
    predicted_difference,
    spread_difference,
)
from tais.stats.proportions import FloatArray

__all__ = [
    "CalibratedNull",
    "Discordance",
    "calibrated_null",
    "difference_quantile",
    "discordance_upper",
    "h_quantile",
    "h_usable_from",
    "sign_flip_p",
    "sign_flip_quantile",
]

_LARGEST_N = 10_000_000


@dataclass(frozen=True, slots=True)
class Discordance:
    """Share of items that two runs of one stack answered differently, pooled over A/A contrasts."""

    n: int
    """Distinct clusters (items)."""
    rate: float
    """Mean over clusters of the share of discordant rows."""
    upper: float
    """Upper confidence bound of the rate."""
    differences: FloatArray | None = None
    """Signed mean difference of each cluster, shape (n,), for the sign-flip permutation."""
    spread: float | None = None
    """Mean square of the cluster differences; None where each cluster is one pair, and it is the rate."""
    spread_upper: float | None = None
    """Its upper confidence bound."""
    starts: StartSpread = ONE_START
    """How far the starts of the stack differ beyond what their items explain."""

    @property
    def degenerate(self) -> bool:
        """Whether no row flipped at all: the A/A then says nothing about the size of the noise."""
        return self.rate == 0


@dataclass(frozen=True, slots=True)
class CalibratedNull:
    """Null quantiles at one endpoint's n and base rate."""

    discordance: Discordance
    h_quantile: float
    """At the pooled discordance: what the verdict reads."""
    h_quantile_upper: float
    """At its upper bound: reported beside it."""
    difference_quantile: float
    difference_quantile_upper: float
    h_floor: float
    """At the predicted difference of one more run: beyond it a candidate stands out from the noise."""
    difference_floor: float
    """Two-sided, see :func:`tais.stats.predictive.predicted_difference`."""
    h_quantiles: dict[str, float]
    """The distribution of |h| between two runs: quantiles 0.5, 0.9, 0.95, 0.99."""
    sign_flip_h_quantile: float | None
    """The same quantile by random signs of the observed A/A differences, at the A/A's own n."""
    usable_from: int | None
    """Smallest n at which the quantile of |h| lies below the cutoff; None where there is none."""


def discordance_upper(events: float, n: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a rate of `events` (possibly fractional) among n: Clopper-Pearson.

    Without events it is 1 - (1 - confidence)^(1/n).
    """
    from scipy.special import betaincinv

    return 1.0 if events >= n else float(betaincinv(events + 1, n - events, confidence))


@lru_cache(maxsize=4096)
def difference_quantile(n: int, discordance: float, quantile: float, *, one_sided: bool = False) -> int:
    """Quantile of the null difference in counts.

    Parameters
    ----------
    n
        Pairs (clusters), n > 0.
    discordance
        Share psi of pairs that flip, in [0, 1].
    quantile
        In (0.5, 1).
    one_sided
        Quantile of the signed difference instead of its absolute value.

    Returns
    -------
    int
        Smallest k with P(|S| <= k) >= quantile (P(S <= k) when one-sided).

    Notes
    -----
    S has the characteristic function (1 - psi + psi cos t)^n; its inverse by a discrete Fourier transform
    over 24 standard deviations leaves an aliasing error below 1e-30.
    """
    if n <= 0 or not 0 <= discordance <= 1:
        raise TaisError(
            f"the null distribution needs n > 0 and a discordance in [0, 1], not {n}, {discordance}"
        )
    reach = min(n, int(12 * np.sqrt(n * discordance)) + 40)
    size = 1 << (2 * reach + 1).bit_length()
    phase = 2 * np.pi * np.arange(size // 2 + 1) / size
    # Real and even, so the inverse transform of the half spectrum is the distribution itself.
    mass = np.fft.irfft((1 - discordance + discordance * np.cos(phase)) ** n, size)
    if one_sided:
        signed = np.concatenate([mass[-reach:], mass[: reach + 1]])
        return int(np.searchsorted(np.cumsum(signed), quantile - 1e-12)) - reach
    absolute = mass[: reach + 1].copy()
    absolute[1:] *= 2
    return int(np.searchsorted(np.cumsum(absolute), quantile - 1e-12))


def _h_of_shift(base_rate: float, shift: float, *, one_sided: bool) -> float:
    down = -float(cohens_h(base_rate, max(base_rate - shift, 0.0)))
    up = float(cohens_h(base_rate, min(base_rate + shift, 1.0)))
    return down if one_sided else max(up, down)


def h_quantile(
    n: int,
    base_rate: float,
    discordance: float,
    quantile: float = 0.99,
    *,
    one_sided: bool = False,
    starts: StartSpread | None = None,
) -> float:
    """Quantile of |h| between two runs of one stack, at n and a base rate.

    Parameters
    ----------
    n
        Pairs (clusters).
    base_rate
        Rate of the expected outcome, in [0, 1].
    discordance
        Pooled A/A share of flips.
    quantile
        In (0.5, 1).
    one_sided
        Quantile of the fall of h instead (non-inferiority).
    starts
        How far starts differ; None where their items explain all.

    Returns
    -------
    float
        The larger of the effects of the quantile of the difference, up or down from the base rate; at a
        ceiling only down is possible. 0 without discordance.
    """
    shift = _shift(n, discordance, quantile, one_sided=one_sided, starts=starts)
    return _h_of_shift(base_rate, shift, one_sided=one_sided)


def _shift(
    n: int, discordance: float, quantile: float, *, one_sided: bool, starts: StartSpread | None
) -> float:
    """Quantile of the difference of rates."""
    if starts is None or starts.none:
        return difference_quantile(n, discordance, quantile, one_sided=one_sided) / n
    return spread_difference(n, discordance, starts, quantile, one_sided=one_sided) / n


def h_usable_from(
    base_rate: float,
    discordance: float,
    cutoff: float,
    quantile: float = 0.99,
    *,
    one_sided: bool = False,
    starts: StartSpread | None = None,
) -> int | None:
    """Smallest n (to 1 in 1000) whose null quantile of |h| is below the cutoff; None beyond 10^7."""

    def above(n: int) -> bool:
        found = h_quantile(n, base_rate, discordance, quantile, one_sided=one_sided, starts=starts)
        return found >= cutoff

    high = 1
    while above(high):
        high *= 2
        if high > _LARGEST_N:
            return None
    low = high // 2
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return high


def calibrated_null(
    n: int,
    base_rate: float,
    discordance: Discordance,
    cutoff: float,
    quantile: float = 0.99,
    *,
    one_sided: bool = False,
) -> CalibratedNull:
    """Null quantiles of |h| and of the rate difference at one endpoint's n and base rate."""
    flips = discordance.differences
    # Flips within a cluster average out: its mean moves as a pair would that flips as often as this.
    psi = discordance.rate if discordance.spread is None else discordance.spread
    upper = discordance.upper if discordance.spread_upper is None else discordance.spread_upper
    starts = discordance.starts
    known = AgainstItself(discordance.n, min(psi * discordance.n, discordance.n))
    floor = predicted_difference(n, known, quantile, spread=starts) / n

    def h(share: float, q: float) -> float:
        return h_quantile(n, base_rate, share, q, one_sided=one_sided, starts=starts)

    def shift(share: float) -> float:
        return _shift(n, share, quantile, one_sided=one_sided, starts=starts)

    return CalibratedNull(
        discordance,
        h(psi, quantile),
        h(upper, quantile),
        shift(psi),
        shift(upper),
        _h_of_shift(base_rate, floor, one_sided=False),
        floor,
        {str(q): h(psi, q) for q in (0.5, 0.9, 0.95, 0.99)},
        None if flips is None else sign_flip_quantile(flips, base_rate, quantile),
        h_usable_from(base_rate, psi, cutoff, quantile, one_sided=one_sided, starts=starts),
    )


def _flipped_sums(differences: FloatArray, replicates: int, seed: int) -> FloatArray:
    """Sums of the differences under random signs, shape (replicates,)."""
    values, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    # RandomState: its stream is frozen, so a report recomputed years later has the same digits.
    random = np.random.RandomState(seed)
    total = np.zeros(replicates)
    for value, count in zip(values, counts, strict=True):
        total += value * (2 * random.binomial(count, 0.5, replicates) - count)
    return total


def sign_flip_p(differences: ArrayLike, replicates: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of the mean of paired differences under random signs.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, shape (clusters,).
    replicates
        Random sign vectors; grouped by equal size, so the cost does not grow with the clusters.
    seed
        Of the frozen NumPy stream.

    Returns
    -------
    float
        (1 + extreme) / (1 + replicates); 1 where nothing differs.
    """
    d = np.asarray(differences, np.float64)
    if not np.any(d):
        return 1.0
    extreme = np.abs(_flipped_sums(d, replicates, seed)) >= abs(d.sum()) - 1e-9
    return float((1 + extreme.sum()) / (1 + replicates))


def sign_flip_quantile(
    differences: ArrayLike, base_rate: float, quantile: float = 0.99, replicates: int = 10_000, seed: int = 0
) -> float:
    """Quantile of |h| under random signs of the observed differences, at their own n."""
    d = np.asarray(differences, np.float64)
    shift = np.quantile(np.abs(_flipped_sums(d, replicates, seed)), quantile, method="inverted_cdf") / len(d)
    return _h_of_shift(base_rate, float(shift), one_sided=False)
