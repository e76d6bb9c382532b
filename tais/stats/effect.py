"""Effect sizes: Cohen's h for rates, with a paired interval, and Cohen's d for scores.

Signed, candidate minus reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tais.stats.paired import PairedTable, restricted_rates, tango_interval
from tais.stats.proportions import Bounds, FloatArray, wilson

__all__ = ["cohens_d", "cohens_h", "cohens_h_interval"]

_BASE_CONFIDENCE = 0.8


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
    takes it farthest out: the one most likely under that difference, and all that lie, with the candidate's
    rate that follows, in the 80 % Wilson intervals of both. Mapped at the most likely rate alone, a rate seen
    as 1 is taken for exactly 1, where h is steepest: at a true h of -0.1, a rate of 0.999 and n = 1000 the
    90 % interval is then wholly beyond 0.1 in 20 % of screens. The 80 % are not derived: they are the least
    that held 5 % in simulation, but for few flips at small n (0.068 at most; docs/statistics.md).

    With all n outcomes equal to 1 and no discordance the bounds are at least 2 asin(sqrt(z^2 / (n + z^2))).
    Coverage is nominal about a rate of 0.5 and conservative towards 0 and 1.
    """
    lower, upper = tango_interval(table, confidence) if difference is None else difference
    return _effects(table, lower).min(axis=0), _effects(table, upper).max(axis=0)


def _effects(table: PairedTable, difference: FloatArray) -> FloatArray:
    """Return h of one difference at each base rate that may be the true one, stacked in front."""
    n, likely = table.n, restricted_rates(table, difference)[0]
    before = wilson(table.reference_rate * n, n, _BASE_CONFIDENCE)
    after = wilson(table.candidate_rate * n, n, _BASE_CONFIDENCE)
    low, high = np.maximum(before[0], after[0] - difference), np.minimum(before[1], after[1] - difference)
    low, high = np.where(low <= high, low, likely), np.where(low <= high, high, likely)
    # Between its ends |h| is smallest where both rates are as far from 1/2.
    bases = np.stack(np.broadcast_arrays(low, high, np.clip((1 - difference) / 2, low, high), likely))
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
