"""How often a draft's tokens are accepted, by position and given that the position before was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray, wilson

__all__ = ["Acceptance", "acceptance_by_position", "too_rarely_accepted"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Acceptance of each position of a draft; arrays of shape (positions,)."""

    trials: FloatArray
    """Times that the position was reached: all positions before it accepted."""
    rate: FloatArray
    """Accepted among those; NaN where the position was never reached."""
    lower: FloatArray
    """Two-sided Wilson bounds; 0 and 1 where the position was never reached."""
    upper: FloatArray


def acceptance_by_position(drafted: ArrayLike, accepted: ArrayLike, confidence: float = 0.95) -> Acceptance:
    """Conditional acceptance rates with Wilson bounds.

    Parameters
    ----------
    drafted
        Drafts that had a token at each position, shape (positions,); a single number where every draft had
        all positions.
    accepted
        Drafts whose token at the position was accepted, shape (positions,). Acceptance stops at the first
        rejection, so it never rises with the position.
    confidence
        Two-sided, in (0, 1).

    Returns
    -------
    Acceptance
        For each position, of the drafts whose position before was accepted.

    Raises
    ------
    TaisError
        Where more tokens are accepted than could be.

    Notes
    -----
    Fails where drafts are of different lengths and only their total is known (n-gram drafts): positions that
    were never drafted then count as rejected and the rate is too low. Give `drafted` by position there.
    Tokens of one answer are not independent, so the bounds are narrower than their confidence says.

    References
    ----------
    Wilson (1927), Journal of the American Statistical Association 22, 209-212.
    """
    passed = np.atleast_1d(np.asarray(accepted, np.float64))
    asked = np.asarray(drafted, np.float64)
    if passed.ndim != 1 or len(passed) == 0 or asked.shape not in ((), passed.shape):
        raise TaisError("acceptance needs a count for each position of the draft")
    asked = np.broadcast_to(asked, passed.shape)
    trials = np.minimum(asked, np.concatenate([asked[:1], passed[:-1]]))
    if not np.all((passed >= 0) & (passed <= trials)):
        raise TaisError("a position cannot be accepted more often than it was drafted and reached")
    reached = trials > 0
    some = np.where(reached, trials, 1.0)
    low, high = wilson(passed, some, confidence)
    return Acceptance(
        trials,
        np.where(reached, passed / some, np.nan),
        np.where(reached, low, 0.0),
        np.where(reached, high, 1.0),
    )


def too_rarely_accepted(acceptance: Acceptance, least: ArrayLike) -> NDArray[np.bool_]:
    """Positions that are accepted less often than asked, beyond doubt.

    Parameters
    ----------
    acceptance
        Rates with bounds.
    least
        Wanted rates, one number or one for each of the first positions.

    Returns
    -------
    NDArray[np.bool_]
        Where the upper bound lies below the wanted rate, for as many positions as both have.
    """
    upper = acceptance.upper
    wanted = np.asarray(least, np.float64)
    if not np.all((wanted >= 0) & (wanted <= 1)):
        raise TaisError("an acceptance rate lies in [0, 1]")
    if wanted.ndim:
        upper = upper[: len(wanted)]
        wanted = wanted[: len(upper)]
    return np.asarray(upper < wanted)
