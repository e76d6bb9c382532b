"""Effect sizes: Cohen's h for rates, with a paired interval, and Cohen's d for scores.

Signed, candidate minus reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.stats.paired import PairedTable, restricted_rates, tango_interval
from tais.stats.proportions import Bounds, FloatArray, wilson

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
    Each bound of the score interval of the difference is mapped through the arcsine at the base rate that
    takes it farthest out: the one most likely under that difference, the ends of the base rate's Wilson
    interval at the same confidence, and the rate at which h is smallest, if that lies between them. Mapped at
    the most likely rate alone, a rate seen as 1 is taken for exactly 1, where h is steepest: at a true h of
    -0.1, a rate of 0.999 and n = 1000 the interval is then wholly beyond 0.1 in 20 % of screens.

    With all n outcomes equal to 1 and no discordance the bounds are at least 2 asin(sqrt(z^2 / (n + z^2))).
    Coverage is nominal about a rate of 0.5 and conservative towards 0 and 1.
    """
    lower, upper = tango_interval(table, confidence) if difference is None else difference
    n = table.n
    rates = wilson(table.reference_rate * n, n, confidence)
    return _effects(table, lower, rates).min(axis=0), _effects(table, upper, rates).max(axis=0)


def _effects(table: PairedTable, difference: FloatArray, rates: Bounds) -> FloatArray:
    """Return h of one difference at each base rate that may be the true one, stacked in front."""
    flattest = np.clip((1 - difference) / 2, *rates)
    bases = np.stack(np.broadcast_arrays(*rates, flattest, restricted_rates(table, difference)[0]))
    bases = np.clip(bases, np.maximum(-difference, 0), np.minimum(1 - difference, 1))
    return cohens_h(bases, bases + difference)


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
