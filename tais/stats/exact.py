"""Exact unconditional equivalence test for paired proportions: for small n, on request.

The score statistic orders the tables; the p-value is the largest probability, over the unknown
discordance, of a table at least as extreme. Its size never exceeds the level.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tais.errors import TaisError
from tais.stats.paired import PairedTable, Tost, tango_interval, tango_statistic
from tais.stats.proportions import FloatArray, as_interval

__all__ = ["LARGEST_N", "critical_counts", "critical_score", "exact_p", "exact_sides", "exact_tost"]

_GRID = 160
"""Values of the nuisance parameter looked at before refining around the largest probability."""
LARGEST_N = 20_000
"""Above this the two tests agree to 0.001 in size, and the sum costs seconds per endpoint."""


def exact_p(n: int, reference_only: int, candidate_only: int, difference: float) -> float:
    """P-value against "candidate minus reference is at most `difference`".

    Parameters
    ----------
    n
        Pairs.
    reference_only, candidate_only
        Discordant counts; their sum is at most n.
    difference
        Hypothetical difference in (-1, 1).

    Returns
    -------
    float
        Supremum over the discordance, found on a grid and refined.

    Notes
    -----
    Without discordance, against -m, it is (1 - m)^n up to n of about 100 at m = 0.03; beyond, tables with
    flips in favour of the candidate outrank the empty one and add to it.

    References
    ----------
    Hsueh, Liu, Chen (2001), Biometrics 57, 478-483.
    """
    table = PairedTable(n - reference_only - candidate_only, reference_only, candidate_only, 0)
    observed = float(tango_statistic(table, difference))
    return _largest_mass(n, critical_counts(n, observed, difference), difference)


def _largest_mass(n: int, needed: FloatArray, difference: float) -> float:
    """Probability of a region, at the discordance where it is largest."""
    low, high = max(0.0, -difference), (1 - difference) / 2
    # Closer near the lower end, where discordance is rare and the probability turns fastest.
    grid = low + (high - low) * np.linspace(0, 1, _GRID) ** 2
    for _ in range(3):
        mass = _region_mass(n, needed, grid, difference)
        best = int(np.argmax(mass))
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 24)
    return float(min(1.0, max(mass.max(), _region_mass(n, needed, grid, difference).max())))


@lru_cache(maxsize=256)
def critical_score(n: int, difference: float, alpha: float = 0.05) -> float:
    """Least score whose tables have at most probability alpha together, whatever the discordance."""
    low, high = 0.0, 10.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        small = _largest_mass(n, critical_counts(n, middle, difference), difference) <= alpha
        low, high = (low, middle) if small else (middle, high)
    return high


def critical_counts(n: int, observed: float, difference: float) -> FloatArray:
    """Least "candidate only" with a score of at least `observed`, for each "reference only" in 0 ... n.

    Shape (n + 1,); one more than there can be where no count reaches it.
    """
    if observed == -math.inf:
        return np.zeros(n + 1)
    rows = np.arange(n + 1, dtype=np.float64)
    low, high = np.full(n + 1, -1.0), n - rows + 1
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        valid = np.clip(middle, 0, n - rows)
        score = tango_statistic(PairedTable(n - rows - valid, rows, valid, 0), difference)
        reached = score >= observed - 1e-9 * max(1.0, abs(observed))
        open_ = high - low > 1
        high = np.where(open_ & reached, middle, high)
        low = np.where(open_ & ~reached, middle, low)
    return high


def _region_mass(n: int, needed: FloatArray, rates: FloatArray, difference: float) -> FloatArray:
    """Probability of the region for each rate of "reference only", shape (rates,)."""
    return np.array([_mass(n, needed, float(rate), difference) for rate in rates])


def _mass(n: int, needed: FloatArray, down: float, difference: float) -> float:
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    # Nine standard deviations and twenty counts leave out less than 1e-15.
    reach = 9 * math.sqrt(n * down * (1 - down)) + 20
    rows = np.arange(max(0, math.floor(n * down - reach)), min(n, math.ceil(n * down + reach)) + 1)
    k, rest = needed[rows], n - rows
    log = gammaln(n + 1) - gammaln(rows + 1) - gammaln(rest + 1) + xlogy(rows, down) + xlog1py(rest, -down)
    up = min(max((down + difference) / (1 - down), 0.0), 1.0) if down < 1 else 0.0
    possible = (k >= 1) & (k <= rest)
    tail = betainc(np.where(possible, k, 1), np.where(possible, rest - k + 1, 1), up)
    return float((np.exp(log) * np.where(k < 1, 1.0, np.where(possible, tail, 0.0))).sum())


def exact_tost(table: PairedTable, margin: float, alpha: float = 0.05, *, one_sided: bool = False) -> Tost:
    """Two one-sided exact unconditional tests of one table.

    Parameters
    ----------
    table
        One table, not arrays. Fractional discordance (clusters) is rounded against equivalence.
    margin, alpha, one_sided
        As for :func:`tais.stats.paired.tost`.

    Returns
    -------
    Tost
        The interval inverts the tests, to 1e-6.

    Raises
    ------
    TaisError
        For more than `LARGEST_N` pairs: use the score test there.

    Notes
    -----
    Passes without discordance from n = 99 at a margin of 0.03 and alpha 0.05.
    """
    lower, upper = _both_ways(table)
    p_lower = np.asarray(exact_p(*lower, -margin))
    p_upper = np.asarray(exact_p(*upper, -margin))
    score = as_interval(tango_interval(table, 1 - 2 * alpha))
    ci = (
        np.asarray(_bound(lower, alpha, score[0])),
        np.asarray(-_bound(upper, alpha, -score[1])),
    )
    return Tost("exact-unconditional", p_lower, p_upper, ci, alpha, one_sided)


def exact_sides(
    table: PairedTable, margin: float, alpha: float = 0.05, *, one_sided: bool = False
) -> tuple[bool, bool]:
    """Whether :func:`exact_tost` shows equivalence, and whether its interval lies wholly beyond the margin.

    The same tests without their inversion, which takes some forty times as long.
    """
    lower, upper = _both_ways(table)
    passes = exact_p(*lower, -margin) < alpha and (one_sided or exact_p(*upper, -margin) < alpha)
    if passes:
        return True, False
    return False, exact_p(*upper, margin) < alpha or (not one_sided and exact_p(*lower, margin) < alpha)


_Counts = tuple[int, int, int]


def _both_ways(table: PairedTable) -> tuple[_Counts, _Counts]:
    """Return n and whole discordant counts for the test from below, and mirrored for that from above."""
    a, b, c, d = (float(x) for x in table.cells())
    n = round(a + b + c + d)
    if n > LARGEST_N:
        raise TaisError(
            f"the exact test is for at most {LARGEST_N} items, not {n}", remedy="Leave out rules.exact"
        )
    return _whole(n, b, c), _whole(n, c, b)


def _whole(n: int, against: float, in_favour: float) -> _Counts:
    down = min(math.ceil(against - 1e-9), n)
    return n, down, min(math.floor(in_favour + 1e-9), n - down)


def _bound(counts: _Counts, alpha: float, guess: float) -> float:
    """Lower bound of the difference: where the p-value reaches alpha, searched around the score bound."""
    low, high = max(guess - 0.02, -1 + 1e-9), min(guess + 0.02, 1 - 1e-9)
    while exact_p(*counts, low) >= alpha and low > -1 + 1e-9:
        low = max(low - 0.1, -1 + 1e-9)
    while exact_p(*counts, high) < alpha and high < 1 - 1e-9:
        high = min(high + 0.1, 1 - 1e-9)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if exact_p(*counts, middle) < alpha else (low, middle)
    return low
