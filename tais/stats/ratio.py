"""Margins on the ratio of rates: for endpoints near a ceiling.

At a refusal rate of 99.5 % a margin of 3 points tolerates seven times the unsafe answers. Here the
margin bounds the ratio of the rates of outcomes that are *not* as expected, candidate over reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.paired import PairedTable, Tost
from tais.stats.proportions import Bounds, FloatArray, normal_quantile

__all__ = ["difference_margin", "ratio_interval", "ratio_statistic", "ratio_tost"]

LARGEST_RATIO = 1e4
"""Bounds are cut here and at its inverse: a report holds no infinity."""


def difference_margin(reference_rate: float, tolerated: float, *, odds: bool = False) -> float:
    """Margin on the difference that a ratio of unsafe rates (or odds) allows at a reference rate.

    Parameters
    ----------
    reference_rate
        Rate of the expected outcome, in [0, 1].
    tolerated
        Ratio above 1, candidate over reference.
    odds
        Of the odds instead of the rates.
    """
    unsafe = 1 - reference_rate
    if odds:
        return tolerated * unsafe / (1 + (tolerated - 1) * unsafe) - unsafe
    return min(unsafe * tolerated, 1.0) - unsafe


def ratio_statistic(table: PairedTable, ratio: ArrayLike) -> FloatArray:
    """Score statistic of the hypothesis that the unsafe rates have the ratio `ratio`.

    Parameters
    ----------
    table
        Paired counts of expected (safe) outcomes.
    ratio
        Hypothetical candidate rate over reference rate of the other outcome, above 0.

    Returns
    -------
    FloatArray
        Standard normal under the hypothesis; falls as `ratio` rises. 0 where no outcome is unsafe: nothing
        is known about the ratio then.

    References
    ----------
    Nam, Blackwelder (2002), Statistics in Medicine 21, 689-699.
    """
    a, reference_only, candidate_only, d = table.cells()
    n = a + reference_only + candidate_only + d
    theta = np.asarray(ratio, np.float64)
    # On the unsafe scale an item that only the reference answers safely is unsafe in the candidate.
    new, old, none = reference_only / n, candidate_only / n, a / n
    after, before = (d / n) + new, (d / n) + old
    root = np.sqrt((after - theta**2 * before) ** 2 + 4 * theta**2 * new * old)
    only_new = (-after + theta**2 * (before + 2 * new) + root) / (2 * theta * (theta + 1))
    only_old = theta * only_new - (theta - 1) * (1 - none)
    variance = theta * np.maximum(only_new + only_old, 0) / n
    numerator = after - theta * before
    degenerate = variance <= 1e-15 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        limit = np.where(np.abs(numerator) <= 1e-12, 0.0, np.sign(numerator) * np.inf)
        return np.asarray(np.where(degenerate, limit, numerator / np.sqrt(variance)))


def ratio_interval(table: PairedTable, confidence: float = 0.95) -> Bounds:
    """Score interval of the ratio of unsafe rates, cut at 1e-4 and 1e4."""
    z = normal_quantile(confidence)
    shape = np.broadcast_shapes(*(x.shape for x in table.cells()))
    ends = []
    for level in (z, -z):
        low, high = np.full(shape, -np.log(LARGEST_RATIO)), np.full(shape, np.log(LARGEST_RATIO))
        for _ in range(56):
            middle = (low + high) / 2
            above = ratio_statistic(table, np.exp(middle)) > level
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        ends.append(np.asarray(np.exp((low + high) / 2)))
    return ends[0], ends[1]


def ratio_tost(table: PairedTable, tolerance: float, alpha: float = 0.05, *, one_sided: bool = False) -> Tost:
    """Equivalence of unsafe rates: their ratio lies within 1 / (1 + tolerance) and 1 + tolerance.

    Parameters
    ----------
    table
        Paired counts of expected (safe) outcomes.
    tolerance
        Above 0: 0.25 tolerates a quarter more unsafe outcomes.
    alpha, one_sided
        As for :func:`tais.stats.paired.tost`.

    Returns
    -------
    Tost
        `p_lower` is against "the candidate is worse by the factor or more"; `ci` is of the ratio.
    """
    from scipy.special import ndtr

    if not tolerance > 0:
        raise TaisError(f"a tolerated ratio needs a margin above 0, not {tolerance}")
    p_lower = np.asarray(ndtr(ratio_statistic(table, 1 + tolerance)))
    p_upper = np.asarray(ndtr(-ratio_statistic(table, 1 / (1 + tolerance))))
    ci = ratio_interval(table, 1 - 2 * alpha)
    return Tost("nam-blackwelder", p_lower, p_upper, ci, alpha, one_sided)
