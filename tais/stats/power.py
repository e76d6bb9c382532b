"""How many items a decision needs, and what a given number of items can decide.

All of it for the default test (score TOST, Tango), by exact enumeration of the discordant counts.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tais.errors import TaisError
from tais.stats.paired import PairedTable, tango_statistic
from tais.stats.proportions import FloatArray, normal_quantile

__all__ = [
    "discordant_grid",
    "minimum_detectable_difference",
    "n_for_scores",
    "n_needed",
    "power",
    "wald_n",
    "zero_discordance_floor",
]

_LARGEST_N = 1_000_000


def zero_discordance_floor(margin: float, alpha: float = 0.05, *, exact: bool = False) -> int:
    """Fewest items at which identical outputs pass: 88 at a margin of 0.03 and alpha 0.05.

    Parameters
    ----------
    margin
        In (0, 1).
    alpha
        Level of each one-sided test, in (0, 0.5).
    exact
        For the exact unconditional test (99), whose p-value is at least (1 - margin)^n, instead of the
        score test, whose interval is +/- z^2 / (n + z^2).
    """
    _check(margin, alpha)
    if exact:
        return _exact_floor(margin, alpha)
    z2 = normal_quantile(1 - 2 * alpha) ** 2
    return math.floor(z2 * (1 - margin) / margin) + 1


@lru_cache(maxsize=64)
def _exact_floor(margin: float, alpha: float) -> int:
    from tais.stats.exact import exact_p

    n = math.ceil(math.log(alpha) / math.log1p(-margin) - 1e-9)
    while exact_p(n, 0, 0, -margin) > alpha:
        n += 1
    return n


def wald_n(margin: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Textbook sample size at no difference: (z_alpha + z_beta/2)^2 psi / m^2; too small for rare flips.

    References
    ----------
    Liu, Hsueh, Hsieh, Chen (2002), Statistics in Medicine 21, 231-245.
    """
    _check(margin, alpha)
    z = normal_quantile(1 - 2 * alpha) + normal_quantile(power)
    return math.ceil(z**2 * discordance / margin**2)


def power(
    n: int,
    margin: float,
    discordance: float,
    difference: float = 0.0,
    alpha: float = 0.05,
    *,
    non_inferiority: bool = False,
) -> float:
    """Probability that n independent pairs pass the score TOST.

    Parameters
    ----------
    n
        Pairs.
    margin, alpha
        Of the test.
    discordance
        True share of pairs that differ, in [|difference|, 1].
    difference
        True difference, candidate minus reference.
    non_inferiority
        Only the lower of the two tests must reject.

    Returns
    -------
    float
        Exact to 1e-9: the trinomial sum over the discordant counts that carry mass.

    Raises
    ------
    TaisError
        Where the discordance is smaller than the difference, or an argument is out of range.
    """
    _check(margin, alpha)
    z = normal_quantile(1 - 2 * alpha)
    table, mass = discordant_grid(n, discordance, difference)
    passes = tango_statistic(table, -margin) > z
    if not non_inferiority:
        passes &= tango_statistic(table, margin) < -z
    return float(np.sum(mass * passes))


def discordant_grid(n: int, discordance: float, difference: float) -> tuple[PairedTable, FloatArray]:
    """Tables of n pairs that carry mass under a true discordance and difference, with their probabilities.

    Returns
    -------
    table
        Cells of shape (rows, columns); the concordant pairs stand in `both`.
    mass
        Same shape; sums to 1 within 1e-9.
    """
    if n < 1 or not abs(difference) <= discordance <= 1:
        raise TaisError(
            f"pairs need n > 0 and a discordance in [|difference|, 1], not {n}, {discordance}, {difference}"
        )
    down, up = (discordance - difference) / 2, (discordance + difference) / 2
    b = _support(n, down)[:, None]
    c = _support(n, up)[None, :]
    # Given b flips down, flips up are binomial among the rest.
    given = min(1.0, up / (1 - down)) if down < 1 else 0.0
    mass = _binomial_mass(b, np.asarray(float(n)), down) * _binomial_mass(c, n - b, given)
    # Columns beyond n - b have no mass; their table only has to be one.
    return PairedTable(np.maximum(n - b - c, 0), b, np.minimum(c, n - b), 0.0), mass


def _check(margin: float, alpha: float) -> None:
    if not (0 < margin < 1 and 0 < alpha < 0.5):
        raise TaisError(f"power needs a margin in (0, 1) and alpha in (0, 0.5), not {margin}, {alpha}")


def _support(n: int, rate: float) -> FloatArray:
    """Counts outside of which a binomial has less than 1e-10 of its mass."""
    spread = 7 * math.sqrt(n * rate * (1 - rate)) + 12
    low, high = max(0, math.floor(n * rate - spread)), min(n, math.ceil(n * rate + spread))
    return np.arange(low, high + 1, dtype=np.float64)


def _binomial_mass(k: FloatArray, n: FloatArray, rate: float) -> FloatArray:
    from scipy.special import gammaln, xlog1py, xlogy

    possible = k <= n
    rest = np.where(possible, n - k, 0.0)
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(rest + 1) + xlogy(k, rate) + xlog1py(rest, -rate)
    return np.where(possible, np.exp(log), 0.0)


def n_needed(
    margin: float,
    discordance: float,
    power_wanted: float = 0.8,
    difference: float = 0.0,
    alpha: float = 0.05,
    *,
    non_inferiority: bool = False,
) -> int | None:
    """Fewest pairs with the wanted probability of passing.

    Parameters
    ----------
    margin, discordance, difference, alpha, non_inferiority
        As for :func:`power`.
    power_wanted
        In (0, 1).

    Returns
    -------
    int or None
        None where the difference lies at or beyond the margin, or where 10^6 pairs are not enough. Power
        is a sawtooth in n: it is reached here and at n plus 2 and 4 percent.
    """
    if (-difference if non_inferiority else abs(difference)) >= margin:
        return None

    def enough(n: int) -> bool:
        ahead = (n, n + max(1, n // 50), n + max(2, n // 25))
        return all(
            power(m, margin, discordance, difference, alpha, non_inferiority=non_inferiority) >= power_wanted
            for m in ahead
        )

    high = zero_discordance_floor(margin, alpha)
    low = high - 1
    while not enough(high):
        low, high = high, 2 * high
        if high > _LARGEST_N:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def n_for_scores(n: int, worse: float, better: float, alpha: float = 0.05) -> int | None:
    """Pairs that would decide, pass or fail, if the observed proportions stayed as they are.

    Score statistics grow with the root of n at fixed proportions, so the answer is closed: n (z / T)^2.

    Parameters
    ----------
    n
        Pairs observed.
    worse, better
        Score statistics at the unsafe and at the other margin; `better` is minus infinity where only the
        unsafe one counts.
    alpha
        Level of each test.

    Returns
    -------
    int or None
        None where the observed difference is the margin itself.
    """
    z = normal_quantile(1 - 2 * alpha)
    inner = min(worse, -better)
    if abs(inner) <= 1e-9:
        return None
    return math.floor(n * (z / inner) ** 2 + 1e-9) + 1


def minimum_detectable_difference(
    n: int,
    margin: float,
    discordance: float,
    power_wanted: float = 0.8,
    alpha: float = 0.05,
    *,
    as_failure: bool = False,
) -> float | None:
    """Smallest true fall of the candidate's rate that n pairs catch with the wanted probability.

    Parameters
    ----------
    n, margin, discordance, alpha
        As for :func:`power`; the discordance grows with the fall where it must.
    power_wanted
        In (0, 1).
    as_failure
        Caught means an interval wholly beyond the margin (fail) instead of "no longer a pass".

    Returns
    -------
    float or None
        To 1e-4; 0 where even identical stacks would not pass; None where not even a fall of 1 is caught.
    """
    _check(margin, alpha)
    z = normal_quantile(1 - 2 * alpha)

    def caught(fall: float) -> bool:
        table, mass = discordant_grid(n, max(discordance, fall), -fall)
        worse = tango_statistic(table, -margin)
        hit = worse < -z if as_failure else (worse <= z) | (tango_statistic(table, margin) >= -z)
        return float(np.sum(mass * hit)) >= power_wanted

    if caught(0.0):
        return 0.0
    if not caught(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if caught(middle) else (middle, high)
    return high
