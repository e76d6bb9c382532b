"""Dose-response: whether an endpoint moves with a numeric property of the arm.

Speculation depth, temperature, batch size: a screen of several arms shows more than each alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.paired import zero_discordance_bound
from tais.stats.proportions import FloatArray, Interval, normal_quantile

__all__ = ["DoseResponse", "dose_response"]

_STEPS = 60
_LARGEST_SLOPE = 40.0
"""Log-odds over the range of doses beyond which the data are separated and no finite slope fits."""


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """Logistic slope of an outcome on a dose, prompts as clusters."""

    slope: float
    """Change of the log-odds per unit of dose."""
    slope_error: float
    """Cluster-robust standard error."""
    slope_ci: Interval
    """At 1 - 2 alpha."""
    p: float
    """Two-sided, against no slope."""
    change: float
    """Fitted rate at the largest dose minus that at the smallest."""
    change_ci: Interval
    """At 1 - 2 alpha, never narrower than the score interval without discordance."""
    equivalent: bool
    """Whether that interval lies within the margin."""


def dose_response(
    dose: FloatArray,
    outcome: FloatArray,
    clusters: NDArray[np.int64],
    margin: float = 0.03,
    alpha: float = 0.05,
) -> DoseResponse | None:
    """Fit a logistic slope with cluster-robust errors, and test that it is flat.

    Parameters
    ----------
    dose
        Numeric property of the arm that gave each row, shape (n,).
    outcome
        0 or 1, shape (n,).
    clusters
        Cluster number of each row, 0 ... K - 1, shape (n,).
    margin
        Largest tolerated change of the rate over the range of doses, in (0, 1).
    alpha
        Level of each one-sided test.

    Returns
    -------
    DoseResponse or None
        None where nothing can be fitted: one dose only, a constant outcome, or doses that separate the
        outcomes completely.

    Raises
    ------
    TaisError
        Where the arrays differ in length or hold numbers that are not finite.

    Notes
    -----
    Where every prompt answers alike at all doses the sandwich variance of the slope is zero; the floor of
    the interval, z^2 / (K + z^2), stands in for it.

    References
    ----------
    Liang, Zeger (1986), Biometrika 73, 13-22 (independence working correlation).
    """
    from scipy.special import expit, ndtr

    if not len(dose) == len(outcome) == len(clusters) or not np.all(np.isfinite(dose) & np.isfinite(outcome)):
        raise TaisError("a dose-response needs finite doses and outcomes, one of each per row")
    if len(dose) == 0 or np.ptp(dose) == 0 or np.ptp(outcome) == 0:
        return None
    low, reach = float(dose.min()), float(np.ptp(dose))
    design = np.stack([np.ones(len(dose)), (dose - low) / reach], axis=1)
    beta = _fit(design, outcome)
    if beta is None:
        return None
    covariance = _sandwich(design, outcome, beta, clusters)
    z = normal_quantile(1 - 2 * alpha)
    # Where the variance is zero, rounding may leave it below.
    error = float(np.sqrt(max(covariance[1, 1], 0.0)))
    first, last = float(expit(beta[0])), float(expit(beta.sum()))
    gradient = np.array([last * (1 - last) - first * (1 - first), last * (1 - last)])
    floor = float(zero_discordance_bound(int(clusters.max()) + 1, 1 - 2 * alpha))
    half = float(np.hypot(z * np.sqrt(max(gradient @ covariance @ gradient, 0)), floor))
    change_ci = (max(last - first - half, -1.0), min(last - first + half, 1.0))
    return DoseResponse(
        slope=float(beta[1]) / reach,
        slope_error=error / reach,
        slope_ci=((float(beta[1]) - z * error) / reach, (float(beta[1]) + z * error) / reach),
        p=float(2 * ndtr(-abs(beta[1]) / error)) if error > 0 else 1.0,
        change=last - first,
        change_ci=change_ci,
        equivalent=-margin < change_ci[0] and change_ci[1] < margin,
    )


def _fit(design: FloatArray, outcome: FloatArray) -> FloatArray | None:
    """Newton's method on the log-likelihood; None where it runs away (separation)."""
    from scipy.special import expit

    beta = np.zeros(2)
    for _ in range(_STEPS):
        fitted = expit(design @ beta)
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        if np.linalg.cond(information) > 1e14:
            return None
        step = np.linalg.solve(information, design.T @ (outcome - fitted))
        beta = beta + step
        if np.abs(beta).max() > _LARGEST_SLOPE:
            return None
        if np.abs(step).max() < 1e-10:
            return beta
    return None


def _sandwich(
    design: FloatArray, outcome: FloatArray, beta: FloatArray, clusters: NDArray[np.int64]
) -> FloatArray:
    """Cluster-robust covariance of the coefficients, with the factor K / (K - 1)."""
    from scipy.special import expit

    fitted = expit(design @ beta)
    bread = np.linalg.inv(design.T @ (design * (fitted * (1 - fitted))[:, None]))
    scores = design * (outcome - fitted)[:, None]
    sums = np.stack([np.bincount(clusters, weights=scores[:, j]) for j in range(2)], axis=1)
    # Sums that are zero but for rounding are zero: identical answers at all doses have no slope variance.
    sums[np.abs(sums) < 1e-12] = 0.0
    k = len(sums)
    return np.asarray(bread @ (sums.T @ sums) @ bread * (k / max(k - 1, 1)))
