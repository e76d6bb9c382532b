"""Marginal odds ratio of two arms over several batteries."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tais.errors import TaisError
from tais.stats.proportions import FloatArray, Interval, normal_quantile

__all__ = ["LEAST_FLIPS", "OddsRatio", "marginal_odds_ratio"]

LEAST_FLIPS = 10
"""Changed clusters below which no interval is given: its variance is that of the changes."""
_LARGEST = 15.0
"""Log odds ratio beyond which one arm is at 0 % or 100 %, and no finite one fits."""


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """Odds of the expected outcome in the candidate over those in the reference."""

    estimate: float
    ci: Interval | None
    """None where too few clusters changed."""


def marginal_odds_ratio(
    strata: Sequence[tuple[FloatArray, FloatArray]], confidence: float
) -> OddsRatio | None:
    """Fit the odds ratio of two arms with one intercept per stratum, pairs as clusters.

    Parameters
    ----------
    strata
        Per battery the outcomes of reference and candidate, shape (clusters,) each, in [0, 1].
    confidence
        Two-sided, in (0, 1).

    Returns
    -------
    OddsRatio or None
        None where no finite ratio fits: nothing but constant strata, or an arm at 0 % or 100 % throughout.

    Raises
    ------
    TaisError
        Where the two arms of a stratum differ in length.

    Notes
    -----
    The generalised estimating equations of a logistic model with the independence working correlation. A
    logistic regression with cluster-robust errors solves them; statsmodels' own `GEE` loops over the clusters
    and takes minutes where this takes a second. Batteries whose outcomes are all alike hold no information on
    the ratio and are left out. Too few changes make the robust variance too small: see `LEAST_FLIPS`.

    References
    ----------
    Liang, Zeger (1986), Biometrika 73, 13-22.
    """
    if any(len(reference) != len(candidate) for reference, candidate in strata):
        raise TaisError("the arms of a stratum must have one length")
    kept = [pair for pair in strata if len(pair[0]) and np.ptp(np.concatenate(pair)) > 0]
    if not kept or any(all(np.ptp(pair[arm]) == 0 for pair in kept) for arm in (0, 1)):
        return None
    changed = sum(int((reference != candidate).sum()) for reference, candidate in kept)
    beta, error = _fit(kept)
    if not abs(beta) < _LARGEST or not np.isfinite(error):
        return None
    half = normal_quantile(confidence) * error
    ci = (float(np.exp(beta - half)), float(np.exp(beta + half))) if changed >= LEAST_FLIPS else None
    return OddsRatio(float(np.exp(beta)), ci)


def _fit(strata: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[float, float]:
    """Log odds ratio of the candidate, and its robust standard error."""
    # Heavy, and wanted by few screens.
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    sizes = [len(reference) for reference, _ in strata]
    total, battery = sum(sizes), np.repeat(np.arange(len(sizes)), sizes)
    outcome = np.concatenate([*(r for r, _ in strata), *(c for _, c in strata)])
    design = np.zeros((2 * total, 1 + len(sizes)))
    design[total:, 0] = 1
    design[np.arange(2 * total), 1 + np.tile(battery, 2)] = 1
    groups = np.tile(np.arange(total), 2)
    with warnings.catch_warnings():
        # What does not converge is seen by its size.
        warnings.simplefilter("ignore")
        found = GLM(outcome, design, family=Binomial()).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        )
    return float(found.params[0]), float(found.bse[0])
