"""Pooling across batteries (strata): a summary, which never decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.paired import PairedTable, mcnemar, tango_interval
from tais.stats.proportions import FloatArray, Interval, as_interval, clopper_pearson

__all__ = ["Pooled", "pool_strata"]


@dataclass(frozen=True, slots=True)
class Pooled:
    """Matched pairs pooled over strata."""

    n: float
    difference: float
    """Mean of the strata's differences weighted by n, which is the Mantel-Haenszel weight of pairs."""
    ci: Interval
    """Score interval of the pooled table, at the asked confidence."""
    odds_ratio: float
    """Mantel-Haenszel odds ratio of pairs, (c + 1/2) / (b + 1/2) where a direction has no flip."""
    odds_ratio_ci: tuple[float, float | None]
    """From the exact binomial interval of c / (b + c); no upper end where no flip bounds it."""
    mcnemar_p: float
    """Stratified McNemar test, mid-p: for pairs each pair is its own stratum, so the flips add up."""


def pool_strata(
    reference_only: ArrayLike, candidate_only: ArrayLike, n: ArrayLike, confidence: float
) -> Pooled:
    """Pool matched-pair tables.

    Parameters
    ----------
    reference_only, candidate_only, n
        Discordant counts and pairs per stratum, shape (strata,).
    confidence
        Two-sided, in (0, 1).

    Returns
    -------
    Pooled
        Candidate against reference; an odds ratio above 1 means that the candidate is safer.

    Raises
    ------
    TaisError
        Without strata.

    Notes
    -----
    Opposite changes in two batteries cancel here. That is why a summary decides nothing.
    The odds ratio is that of `StratifiedTable` of statsmodels with a stratum per pair, which would hold one
    table for each of a million pairs; their sum has a closed form.

    References
    ----------
    Mantel, Haenszel (1959), Journal of the National Cancer Institute 22, 719-748.
    """
    b, c, m = (np.asarray(x, np.float64) for x in (reference_only, candidate_only, n))
    if not b.size:
        raise TaisError("there is no stratum to pool")
    down, up, pairs = float(b.sum()), float(c.sum()), float(m.sum())
    table = PairedTable(max(pairs - down - up, 0.0), down, up, 0.0)
    half = 0.0 if down and up else 0.5
    low, high = _odds(clopper_pearson(up, down + up, confidence)) if down + up else (0.0, None)
    return Pooled(
        n=pairs,
        difference=(up - down) / pairs,
        ci=as_interval(tango_interval(table, confidence)),
        odds_ratio=(up + half) / (down + half),
        odds_ratio_ci=(low, high),
        mcnemar_p=float(mcnemar(round(down), round(up))),
    )


def _odds(bounds: tuple[FloatArray, FloatArray]) -> tuple[float, float | None]:
    low, high = as_interval(bounds)
    return low / (1 - low) if low < 1 else 0.0, high / (1 - high) if high < 1 else None
