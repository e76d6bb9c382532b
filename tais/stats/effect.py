"""Effect sizes: Cohen's h for rates, with a paired interval, and Cohen's d for scores.

Signed, candidate minus reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.stats.paired import PairedTable, restricted_rates, tango_interval
from tais.stats.proportions import Bounds, FloatArray

__all__ = ["cohens_d", "cohens_h", "cohens_h_interval"]


def cohens_h(reference_rate: ArrayLike, candidate_rate: ArrayLike) -> FloatArray:
    """Difference of arcsine-transformed rates, candidate minus reference, in radians.

    Parameters
    ----------
    reference_rate, candidate_rate
        Rates in [0, 1]; any shapes that broadcast.

    Returns
    -------
    FloatArray
        Between -pi and pi. At a rate of 1 a change of 0.01 already gives 0.2; at 0.5 it gives 0.02.

    References
    ----------
    Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, chapter 6.
    """
    before = np.arcsin(np.sqrt(np.clip(np.asarray(reference_rate, np.float64), 0, 1)))
    after = np.arcsin(np.sqrt(np.clip(np.asarray(candidate_rate, np.float64), 0, 1)))
    return np.asarray(2 * (after - before))


def cohens_h_interval(
    table: PairedTable, confidence: float = 0.95, difference: Bounds | None = None
) -> Bounds:
    """Paired interval of Cohen's h.

    Parameters
    ----------
    table
        Paired counts, scalars or arrays.
    confidence
        Two-sided, in (0, 1).
    difference
        The score interval of the difference at this confidence, where it is known already.

    Returns
    -------
    Bounds
        Bounds of h; never of zero width.

    Notes
    -----
    Each bound of the score interval of the difference is mapped through the arcsine at the rates that
    are most likely under that difference, so the interval and the score test agree about zero. With
    all n outcomes equal to 1 and no discordance the bounds are +/- 2 asin(sqrt(z^2 / (n + z^2))).
    The concordant cells are taken at their restricted estimate, so coverage is nominal away from the
    ceiling and conservative at it.
    """
    lower, upper = tango_interval(table, confidence) if difference is None else difference
    return cohens_h(*restricted_rates(table, lower)), cohens_h(*restricted_rates(table, upper))


def cohens_d(differences: FloatArray) -> float | None:
    """Mean of paired differences over their standard deviation (d_z); None where nothing varies.

    References
    ----------
    Lakens (2013), Frontiers in Psychology 4, 863.
    """
    if len(differences) < 2:
        return None
    spread = float(np.std(differences, ddof=1))
    # A spread of rounding size is no spread: differences of equal scores carry errors of 1e-16.
    return float(np.mean(differences)) / spread if spread > 1e-12 else None
