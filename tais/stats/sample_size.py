"""How many items decide an endpoint, with a stated power, and whether a whole screen can pass.

For the score test (Tango), by exact summation over the number of discordant pairs. Cohen's h and the null
quantile, which ask for more near a ceiling, count where a base rate is given (`joint_power`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.effect_power import power_with_effect
from tais.stats.paired import PairedTable, mcnemar, tango_statistic
from tais.stats.proportions import FloatArray, normal_quantile

__all__ = [
    "EndpointDesign",
    "decision_power",
    "items_by_scores",
    "items_to_decide",
    "items_to_stand_out",
    "joint_power",
]

_LARGEST_N = 1_000_000
_LARGEST_SUM = 5_000
"""Above, the normal approximation is within 4 %, and the sum takes a second or more."""


@dataclass(frozen=True, slots=True)
class EndpointDesign:
    """One endpoint of a planned screen: one scorer on one battery and stratum."""

    n: int
    """Independent units: distinct prompts, or clusters."""
    margin: float
    discordance: float
    """Expected share of units that differ between two runs of equal stacks."""
    alpha: float = 0.05
    non_inferiority: bool = False
    rate: float | None = None
    """True rate of the expected outcome. None leaves Cohen's h and the null quantile out."""
    h_cutoff: float = 0.1
    null_quantile: float = 0.99


def decision_power(
    n: ArrayLike,
    margin: float,
    discordance: float,
    difference: float = 0.0,
    alpha: float = 0.05,
    *,
    non_inferiority: bool = False,
    fail: bool = False,
    level: float = 1.0,
) -> FloatArray:
    """Probability that n independent pairs pass the score TOST, or fail it.

    Parameters
    ----------
    n
        Numbers of pairs, positive; any shape.
    margin, alpha
        Of the test, in (0, 1) and (0, 0.5).
    discordance
        True share of pairs that differ, in [|difference|, 1].
    difference
        True difference, candidate minus reference.
    non_inferiority
        Only the unsafe margin counts.
    fail
        The interval lies wholly beyond the margin, instead of wholly within it.
    level
        A fail must also have an exact two-sided McNemar p below it; 1 asks for no more than the interval.

    Returns
    -------
    FloatArray
        Exact to 1e-9, of the shape of `n`.

    Raises
    ------
    TaisError
        Where an argument is out of its range.

    Notes
    -----
    The same number as :func:`tais.stats.power.power`, for many n at once: given D flips the score falls with
    the flips for the worse, so one critical count of "candidate only" for each D replaces a grid of tables.
    """
    sizes = np.atleast_1d(np.asarray(n, np.float64))
    _check(sizes, margin, discordance, difference, alpha)
    flips, mass = _flips(sizes.reshape(-1, 1), discordance)
    critical = _critical_counts(sizes.reshape(-1, 1), flips, margin, alpha, fail=fail)
    if fail and level < 1:
        critical = np.minimum(critical, _one_sided_flips(flips, level))
    share = (discordance + difference) / (2 * discordance) if discordance > 0 else 0.5
    if fail:
        # At most `critical` candidate-only flips; on the other side as few reference-only ones.
        hit = 1 - _at_least(critical + 1, flips, share)
        if not non_inferiority:
            hit = hit + 1 - _at_least(critical + 1, flips, 1 - share)
    else:
        hit = _at_least(critical, flips, share)
        if not non_inferiority:
            hit = np.maximum(hit - _at_least(flips - critical + 1, flips, share), 0)
    return np.asarray((mass * hit).sum(axis=1).reshape(np.shape(n)))


def _check(n: FloatArray, margin: float, discordance: float, difference: float, alpha: float) -> None:
    if not (0 < margin < 1 and 0 < alpha < 0.5):
        raise TaisError(f"power needs a margin in (0, 1) and alpha in (0, 0.5), not {margin}, {alpha}")
    if not ((n >= 1).all() and abs(difference) <= discordance <= 1):
        raise TaisError(
            f"pairs need n > 0 and a discordance in [|difference|, 1], not {discordance}, {difference}"
        )


def _flips(n: FloatArray, rate: float) -> tuple[FloatArray, FloatArray]:
    """Numbers of flips that carry mass, for each n of shape (sizes, 1), and their probabilities."""
    from scipy.special import gammaln, xlog1py, xlogy  # Heavy: the command line starts without it.

    spread = 7 * np.sqrt(n * rate * (1 - rate)) + 12
    low, high = np.maximum(np.floor(n * rate - spread), 0), np.minimum(np.ceil(n * rate + spread), n)
    flips = low + np.arange(int((high - low).max()) + 1)
    inside = flips <= high
    flips = np.where(inside, flips, high)
    log = gammaln(n + 1) - gammaln(flips + 1) - gammaln(n - flips + 1)
    log = log + xlogy(flips, rate) + xlog1py(n - flips, -rate)
    return flips, np.where(inside, np.exp(log), 0.0)


def _critical_counts(
    n: FloatArray, flips: FloatArray, margin: float, alpha: float, *, fail: bool
) -> FloatArray:
    """Least "candidate only" that shows "not worse by the margin", or greatest that shows "worse".

    One more than there are flips, or -1, where no count does.
    """
    level = normal_quantile(1 - 2 * alpha)
    low, high = np.full_like(flips, -1.0), flips + 1
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        valid = np.clip(middle, 0, flips)
        score = tango_statistic(PairedTable(n - flips, flips - valid, valid, 0), -margin)
        above = score >= -level if fail else score > level
        open_ = high - low > 1
        high, low = np.where(open_ & above, middle, high), np.where(open_ & ~above, middle, low)
    return low if fail else high


def _one_sided_flips(flips: FloatArray, level: float) -> FloatArray:
    """Greatest count of the rarer flips whose exact two-sided McNemar p is below a level; -1 for none."""
    found, back = np.unique(flips, return_inverse=True)
    low, high = np.full_like(found, -1.0), np.floor(found / 2) + 1
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        below = mcnemar(middle, np.maximum(found - middle, 0), mid_p=False) < level
        open_ = high - low > 1
        low, high = np.where(open_ & below, middle, low), np.where(open_ & ~below, middle, high)
    return np.asarray(low[back.reshape(flips.shape)])


def _at_least(k: FloatArray, trials: FloatArray, rate: float) -> FloatArray:
    """Probability of k or more successes."""
    from scipy.special import betainc  # Heavy: the command line starts without it.

    possible = (k >= 1) & (k <= trials)
    tail = betainc(np.where(possible, k, 1), np.where(possible, trials - k + 1, 1), rate)
    return np.where(k < 1, 1.0, np.where(possible, tail, 0.0))


@lru_cache(maxsize=4096)
def items_to_decide(
    discordance: float,
    difference: float,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    non_inferiority: bool = False,
    level: float = 1.0,
) -> int | None:
    """Items with which an endpoint is decided with the wanted probability.

    Parameters
    ----------
    discordance, difference
        True share of items that differ and true difference (candidate minus reference); where the observed
        ones stand in, the answer is as uncertain as they are.
    margin, alpha, non_inferiority
        As for :func:`decision_power`.
    power
        Wanted probability, in (0, 1).
    level
        As for :func:`decision_power`: with alpha / m for m endpoints, a fail that stands among all of them.

    Returns
    -------
    int or None
        Where the difference lies within the margin, items that pass; beyond it, items that fail. None where
        it is the margin itself or where 10^6 items are not enough.

    Raises
    ------
    TaisError
        Where an argument is out of its range.

    Notes
    -----
    "The n at which the observed proportions would just decide" has a power of about one half there. Power is
    a sawtooth in n whose teeth are at most 2 / margin items wide (the distance between two critical counts of
    the score test tends to 2 expected flips), so the answer is the first n from which on the power stays
    reached for a whole tooth.

    Without discordance the answer is the floor of identical outputs, 88 at a margin of 0.03. Beyond 5,000
    items the normal approximation of :func:`items_by_scores` stands in for the sum.

    References
    ----------
    Liu, Hsueh, Hsieh, Chen (2002), Statistics in Medicine 21, 231-245.
    """
    _check(np.ones(1), margin, discordance, difference, alpha)
    if not 0 < power < 1:
        raise TaisError(f"a power lies in (0, 1), not {power}")
    distance = -difference if non_inferiority else abs(difference)
    if abs(distance - margin) < 1e-12:
        return None

    rough = _roughly(discordance, difference, margin, alpha, power, non_inferiority, level)
    if rough is None or rough > _LARGEST_SUM:
        return rough

    def short(n: ArrayLike) -> NDArray[np.bool_]:
        found = decision_power(
            n,
            margin,
            discordance,
            difference,
            alpha,
            non_inferiority=non_inferiority,
            fail=distance > margin,
            level=level,
        )
        return np.asarray(found < power)

    return _settled(short, math.ceil(2 / margin) + 1, rough)


def _roughly(
    discordance: float,
    difference: float,
    margin: float,
    alpha: float,
    power: float,
    non_inferiority: bool,
    level: float,
) -> int | None:
    """Items by the normal approximation of both tests; None where 10^6 are not enough."""
    from scipy.special import ndtri  # Heavy: the command line starts without it.

    down, up = (discordance - difference) / 2, (discordance + difference) / 2
    seen = PairedTable(*(_LARGEST_N * x for x in (1 - discordance, down, up, 0)))
    worse, better = (float(tango_statistic(seen, m)) for m in (-margin, margin))
    n = items_by_scores(_LARGEST_N, worse, -math.inf if non_inferiority else better, alpha, power)
    distance = -difference if non_inferiority else abs(difference)
    if n is None or distance < margin or level >= 1:
        return n
    spread = math.sqrt(max(1 - difference**2 / discordance, 0.0))
    reach = normal_quantile(1 - level) + float(ndtri(power)) * spread
    n = max(n, math.ceil(discordance * (reach / difference) ** 2))
    return n if n <= _LARGEST_N else None


def _settled(short: Callable[[ArrayLike], NDArray[np.bool_]], tooth: int, guess: int = 1) -> int | None:
    """First n after a shortfall from which on nothing falls short for a whole tooth."""
    low, high = 0, guess
    while short(high):
        low, high = high, high + max(high // 4, 1) if guess > 1 else 2 * high
        if high > _LARGEST_N:
            return None
    # Down from a guess that is enough already.
    while guess > 1 and low == 0 and (lower := high * 4 // 5) > 0:
        low, high = (lower, high) if short(lower) else (0, lower)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if short(middle) else (low, middle)
    while (ahead := short(high + np.arange(tooth))).any():
        high += int(np.flatnonzero(ahead)[-1]) + 1
    return high


@lru_cache(maxsize=4096)
def items_to_stand_out(discordance: float, difference: float, level: float, power: float = 0.8) -> int | None:
    """Items with which the exact McNemar test finds a difference with the wanted probability.

    Parameters
    ----------
    discordance, difference
        True share of items that differ, at most 1, and true difference, not 0.
    level
        Two-sided, in (0, 1); alpha / m for one of m endpoints.
    power
        Wanted probability, in (0, 1).

    Returns
    -------
    int or None
        None where there is no difference, or where 10^6 items are not enough.

    Raises
    ------
    TaisError
        Where an argument is out of its range.

    Notes
    -----
    A margin plays no part: for an effect size that is beyond its cutoff within the margin.
    """
    if not (0 < level < 1 and 0 < power < 1 and abs(difference) <= discordance <= 1):
        raise TaisError(
            "a test needs a level and a power in (0, 1) and a discordance in [|difference|, 1], not "
            f"{level}, {power}, {discordance}, {difference}"
        )
    if difference == 0:
        return None
    share = (discordance - abs(difference)) / (2 * discordance)

    def short(n: ArrayLike) -> NDArray[np.bool_]:
        sizes = np.atleast_1d(np.asarray(n, np.float64)).reshape(-1, 1)
        flips, mass = _flips(sizes, discordance)
        found = mass * (1 - _at_least(_one_sided_flips(flips, level) + 1, flips, share))
        return np.asarray(found.sum(axis=1).reshape(np.shape(n)) < power)

    return _settled(short, math.ceil(2 / discordance) + 1)


def items_by_scores(
    n: int, worse: float, better: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Items that decide with the wanted probability, from score statistics of any scale.

    Parameters
    ----------
    n
        Pairs observed.
    worse, better
        Score statistics at the unsafe and at the other margin, as for
        :func:`tais.stats.power.n_for_scores`; `better` is minus infinity where only the unsafe one counts.
    alpha
        Level of each test.
    power
        Wanted probability, in (0, 1).

    Returns
    -------
    int or None
        None where the observed value is the margin itself, or where 10^6 items are not enough.

    Notes
    -----
    Normal approximation: the statistics grow with the root of n at fixed proportions and vary by 1 around
    that. Where flips are rare :func:`items_to_decide`, which sums, is to be preferred; it knows the
    difference of rates only.
    """
    from scipy.special import ndtr  # Heavy: the command line starts without it.

    z = normal_quantile(1 - 2 * alpha)
    inner = min(worse, -better)
    if abs(inner) <= 1e-9:
        return None

    def short(size: ArrayLike) -> NDArray[np.bool_]:
        grown = np.sqrt(np.asarray(size, np.float64) / n)
        if inner < 0:
            return np.asarray(ndtr(-inner * grown - z) < power)
        return np.asarray(ndtr(worse * grown - z) + ndtr(-better * grown - z) - 1 < power)

    return _settled(short, 1)


def joint_power(endpoints: Iterable[EndpointDesign], contrasts: int = 1, calibrations: int = 0) -> float:
    """Probability that a whole screen of equal stacks passes.

    Parameters
    ----------
    endpoints
        All endpoints of one contrast: batteries, split by stratum where they are.
    contrasts
        Screened contrasts; each has all endpoints.
    calibrations
        A/A contrasts, each with all endpoints; judged by the two-sided test whatever the hypothesis.

    Returns
    -------
    float
        Product of the powers of all endpoints, at no true difference.

    Raises
    ------
    TaisError
        Where a number is out of its range.

    Notes
    -----
    Endpoints and contrasts are taken as independent. Contrasts of one kind that share their reference pass
    independently given its answers, so that by Jensen's inequality the true value is at least this product.
    Where items of a cluster flip together and n counts items, it is lower: n counts clusters.

    Two strata of 200 and 222 units with one contrast and no A/A (XSTest) pass with probability 0.79, 0.41 and
    0.03 at a discordance of 1, 2 and 5 %.
    """
    if contrasts < 0 or calibrations < 0:
        raise TaisError("a screen has no negative number of contrasts")
    return math.prod(_endpoint_power(e, contrasts, calibrations) for e in endpoints)


@lru_cache(maxsize=4096)
def _endpoint_power(e: EndpointDesign, contrasts: int, calibrations: int) -> float:
    if e.rate is not None:
        sizes = np.full((1, 1), float(e.n))
        _check(sizes, e.margin, e.discordance, 0.0, e.alpha)
        flips, mass = _flips(sizes, e.discordance)
        least = _critical_counts(sizes, flips, e.margin, e.alpha, fail=False)[0]
        return power_with_effect(
            e.n, e.rate, e.discordance, flips[0], mass[0], least, h_cutoff=e.h_cutoff,
            null_quantile=e.null_quantile, contrasts=contrasts, calibrations=calibrations,
            one_sided=e.non_inferiority,
        )  # fmt: skip
    screen, again = (
        float(decision_power(e.n, e.margin, e.discordance, alpha=e.alpha, non_inferiority=one_sided))
        for one_sided in (e.non_inferiority, False)
    )
    return screen**contrasts * again**calibrations
