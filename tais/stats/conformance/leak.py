"""The draft leak e: the share of tokens drawn from the draft's law q instead of the target's p.

Every token is taken to come from (1 - e) p + e q, e in [0, 1]. A lossless stack has e = 0, which is a
boundary: the maximum-likelihood estimate is 0 in half of all correct runs, and tests and intervals allow for
that. Only the ratio r = q/p of the sampled cell enters the likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.conformance.laws import IntArray
from tais.stats.conformance.score_tests import CLIP, cell_ratios
from tais.stats.proportions import FloatArray, Interval, normal_quantile

__all__ = ["Leak", "LeakEstimate", "Moments", "clustered_upper", "minimum_detectable_leak"]

_ALMOST_ONE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over tokens of the moments of s = min(q/p, e^3) under p and q: what the score test can see."""

    target_variance: float = 0.0
    """Sum of Var_p s."""
    gain: float = 0.0
    """Sum of E_q s - E_p s: drift per unit of e."""
    second: float = 0.0
    """Sum of E_q s^2 - E_p s^2 - 2 E_p s (E_q s - E_p s)."""
    square: float = 0.0
    """Sum of (E_q s - E_p s)^2."""

    def variance(self, e: float) -> float:
        """Sum of the variances of s under a leak e."""
        return self.target_variance + e * self.second - e * e * self.square

    def add(self, p: FloatArray, q: FloatArray, score: FloatArray) -> tuple[Moments, FloatArray]:
        """Return the sums with these rows, and the gain of each row, shape (n,)."""
        mp, mq = np.einsum("ij,ij->i", p, score), np.einsum("ij,ij->i", q, score)
        sp, sq = np.einsum("ij,ij,ij->i", p, score, score), np.einsum("ij,ij,ij->i", q, score, score)
        gain = mq - mp
        new = Moments(
            self.target_variance + float(np.maximum(sp - mp**2, 0).sum()),
            self.gain + float(gain.sum()),
            self.second + float((sq - sp - 2 * mp * gain).sum()),
            self.square + float((gain**2).sum()),
        )
        return new, gain


@dataclass(frozen=True, slots=True)
class LeakEstimate:
    """What a run says about e."""

    n: int
    e: float
    """Maximum likelihood, in [0, 1]."""
    ci: Interval
    """Profile-likelihood interval, two-sided, by default 95 %."""
    upper: float
    """One-sided upper bound at the same confidence."""
    upper_clustered: float | None
    """The same with the likelihood ratio rescaled as for `ci_clustered`, never less; None for one answer."""
    ci_clustered: Interval | None
    """The interval with the likelihood ratio rescaled by the sandwich variance over prompts; None for fewer
    than two prompts."""
    lr_p: float
    """Likelihood-ratio test of e = 0 against e > 0, chi-bar distribution; 1 where the estimate is 0."""
    score_z: float
    """Clipped efficient score at e = 0; positive for a leak."""
    score_p: float
    """One-sided."""
    signed: float
    """Unbiased moment estimate from the score, which may be negative: for diagnosis, and to subtract the
    control's. A value well below 0 is no negative leak, but says that p is not the law either."""
    signed_se: float
    signed_se_clustered: float | None
    detectable: float | None
    """Leak that the one-sided 5 % score test finds with probability 0.9 at this n; None beyond 1."""
    moments: Moments = field(repr=False)


class Leak:
    """Evidence about e, token by token: 12 bytes kept per token, and two sums per prompt."""

    def __init__(self) -> None:
        self.moments = Moments()
        self._ratios: list[FloatArray] = []
        self._prompts: list[NDArray[np.int32]] = []
        self._codes: dict[int, int] = {}
        self._sums = np.zeros((2, 0))
        """Score and gain by prompt, in the order of `_codes`."""

    def add(self, p: FloatArray, q: FloatArray, given: IntArray, cluster: IntArray) -> FloatArray:
        """Add tokens; p, q of shape (n, cells), given and cluster (n,). Return the ratios q/p, shape (n,).

        Every given cell must have a positive probability under p.
        """
        ratio = cell_ratios(p, q)
        score = np.minimum(ratio, math.exp(CLIP))
        mean = np.einsum("ij,ij->i", p, score)
        self.moments, gain = self.moments.add(p, q, score)
        own = np.take_along_axis(ratio, given[:, None], axis=1)[:, 0]
        centred = np.minimum(own, math.exp(CLIP)) - mean
        self._ratios.append(own)
        self._add_by_prompt(cluster, centred, gain)
        return np.asarray(own)

    def _add_by_prompt(self, cluster: IntArray, score: FloatArray, gain: FloatArray) -> None:
        found, where = np.unique(cluster, return_inverse=True)
        codes = [self._codes.setdefault(int(c), len(self._codes)) for c in found]
        prompt = np.array(codes, np.int32)[where]
        size = len(self._codes)
        old, self._sums = self._sums, np.stack([np.bincount(prompt, x, size) for x in (score, gain)])
        self._sums[:, : old.shape[1]] += old
        self._prompts.append(prompt)

    def estimate(self, confidence: float = 0.95, power: float = 0.9) -> LeakEstimate:
        """Estimate, intervals and tests of e.

        Raises
        ------
        TaisError
            Where there is no token, or the confidence is not in (0, 1).

        Notes
        -----
        The interval inverts the likelihood-ratio test at the quantile of chi-squared with one degree of
        freedom: exact in the limit for e > 0, conservative (97.5 % for 95 %) at e = 0. Where draft and
        target have the same law nothing is learnt, and the interval is [0, 1].

        References
        ----------
        Self, Liang (1987), Journal of the American Statistical Association 82, 605-610 (boundary).
        Kent (1982), Biometrika 69, 19-27 (likelihood ratio rescaled by the sandwich variance).
        """
        step = np.concatenate(self._ratios) - 1 if self._ratios else np.empty(0)
        if len(step) == 0:
            raise TaisError("a leak cannot be estimated without tokens")
        e = _maximum(step)
        two_sided = normal_quantile(confidence) ** 2
        one_sided = normal_quantile(2 * confidence - 1) ** 2 if confidence > 0.5 else 0.0
        inflation = _inflation(step, np.concatenate(self._prompts), e)
        m = self.moments
        z = float(self._sums[0].sum()) / math.sqrt(m.target_variance) if m.target_variance > 0 else 0.0
        signed, se, clustered = self._moment_estimate()
        ratio = 2 * _log_likelihood(step, e)
        return LeakEstimate(
            n=len(step),
            e=e,
            ci=_profile(step, e, two_sided),
            upper=_profile(step, e, one_sided)[1],
            upper_clustered=None
            if inflation is None
            else _profile(step, e, one_sided * max(inflation, 1.0))[1],
            ci_clustered=None if inflation is None else _profile(step, e, two_sided * inflation),
            lr_p=math.erfc(math.sqrt(ratio / 2)) / 2 if ratio > 0 else 1.0,
            score_z=z,
            score_p=math.erfc(z / math.sqrt(2)) / 2,
            signed=signed,
            signed_se=se,
            signed_se_clustered=clustered,
            detectable=minimum_detectable_leak(m, power=power),
            moments=m,
        )

    def _moment_estimate(self) -> tuple[float, float, float | None]:
        """Return signed e with its standard errors, without and with clusters by prompt."""
        m = self.moments
        if m.gain <= 0:
            return 0.0, math.inf, None
        score, gain = self._sums
        signed = float(score.sum()) / m.gain
        variance = m.variance(min(max(signed, 0.0), 1.0))
        sums = score - signed * gain
        clustered = None
        if len(sums) > 1:
            clustered = math.sqrt(float((sums**2).sum()) * len(sums) / (len(sums) - 1)) / m.gain
        return signed, math.sqrt(max(variance, 0.0)) / m.gain, clustered


def clustered_upper(ratios: FloatArray, prompts: NDArray[np.integer], confidence: float = 0.95) -> float:
    """One-sided upper bound on e from ratios alone, as :attr:`LeakEstimate.upper_clustered`.

    Parameters
    ----------
    ratios
        q/p of the sampled cells, finite, shape (n,).
    prompts
        Prompt of each, non-negative, shape (n,). With fewer than two the bound is 1.
    confidence
        In (0.5, 1).
    """
    step = np.asarray(ratios, np.float64) - 1
    e = _maximum(step)
    inflation = _inflation(step, prompts, e)
    if inflation is None:
        return 1.0
    return _profile(step, e, normal_quantile(2 * confidence - 1) ** 2 * max(1.0, inflation))[1]


def _inflation(step: FloatArray, prompts: NDArray[np.integer], e: float) -> float | None:
    """Variance of the likelihood's score over prompts, as a multiple of that over tokens."""
    if e >= 1:
        return None
    slope = step / (1 + e * step)
    slope = slope - slope.mean()
    _, codes = np.unique(prompts, return_inverse=True)
    sums = np.bincount(codes, slope)
    inside = float((slope**2).sum())
    if len(sums) < 2:
        return None
    between = float((sums**2).sum()) * len(sums) / (len(sums) - 1)
    return between / inside if inside > 0 else 1.0


def minimum_detectable_leak(moments: Moments, alpha: float = 0.05, power: float = 0.9) -> float | None:
    """Smallest e that the one-sided score test of level alpha finds with the given power.

    Parameters
    ----------
    moments
        Sums over the tokens at hand; scale them to plan another n.
    alpha, power
        In (0, 0.5) and (0.5, 1).

    Returns
    -------
    float or None
        None where even e = 1 is not found so often.

    Notes
    -----
    gain^2 / variance at e = 0 is Fisher's information about e but for the clip of the score, which can only
    lose some: without it a single cell that the target all but excludes would promise any precision.
    """
    from scipy.optimize import brentq

    level, reach = normal_quantile(1 - 2 * alpha), normal_quantile(2 * power - 1)
    threshold = level * math.sqrt(max(moments.target_variance, 0.0))

    def short(e: float) -> float:
        return threshold + reach * math.sqrt(max(moments.variance(e), 0.0)) - e * moments.gain

    return None if short(1.0) > 0 or moments.gain <= 0 else float(brentq(short, 0.0, 1.0, xtol=1e-10))


def _log_likelihood(step: FloatArray, e: float) -> float:
    """Log-likelihood of e against e = 0; step = q/p - 1."""
    return float(np.log1p(e * step).sum()) if e < 1 or step.min() > -1 else -math.inf


def _maximum(step: FloatArray) -> float:
    """Maximise a concave function on [0, 1] by the sign of its slope."""

    def slope(e: float) -> float:
        return float((step / (1 + e * step)).sum())

    # A slope within rounding of 0 is none: draft and target agree on every token.
    if slope(0.0) <= 1e-12 * len(step):
        return 0.0
    if step.min() > -1 and slope(1.0) >= 0:
        return 1.0
    return _root(slope, 0.0, _ALMOST_ONE)


def _profile(step: FloatArray, e: float, drop: float) -> Interval:
    """Values of e whose doubled log-likelihood is within `drop` of the maximum."""
    best = _log_likelihood(step, e)

    def excess(x: float) -> float:
        return 2 * (best - _log_likelihood(step, x)) - drop

    low = 0.0 if excess(0.0) <= 0 else _root(excess, 0.0, e)
    high = 1.0 if e >= 1 or excess(_ALMOST_ONE) <= 0 else _root(excess, e, _ALMOST_ONE)
    return low, high


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    if function(low) == 0 or function(low) * function(high) > 0:
        return low
    return float(brentq(function, low, high, xtol=1e-10, rtol=1e-8))
