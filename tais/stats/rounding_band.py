"""The teacher-forced audit at T = 0: margins, the numerical band, and what misses outside it bound.

The margin of a token is the best score at its position less its own score: 0 where it is the target's argmax
or ties with it. Tokens pass by score and never by id.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray, clopper_pearson, normal_quantile

__all__ = [
    "ROUNDOFF",
    "Band",
    "band",
    "control_bound",
    "leak_upper_bound",
    "margins",
    "share_upper_bound",
]

ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}
"""Largest relative error of rounding to nearest (half the spacing at 1)."""
_ERRORS = 4
"""Errors in a comparison of two margins: two scores, each computed in two passes."""
_TYPICAL_MISSES = 8
"""Misses that the dtype's own rounding stands for: with them lossless arms with few misses stay inside."""
_LEAST_SPREAD, _MOST_SPREAD = 0.5, 1.25
_FEWEST_FOR_SPREAD = 5
_SMALL_CONTROL = 1.5
"""Tokens of the candidate per token of the control."""
_EVEN = 16 / (3 * math.pi)
"""1 + squared coefficient of variation of misses where noise is Gaussian and even, and gaps are uniform."""
_NODES = 20


@dataclass(frozen=True, slots=True)
class Band:
    """Margin up to which a miss may be rounding."""

    width: float
    """The larger of the two."""
    control: float
    """What the control's misses predict for the largest of the candidate's."""
    rounding: float
    """What the dtype alone explains."""
    sure: float
    """Margin beyond which no noise is taken to reach: the width, but where a small control's noise varies."""

    def outside(self, margin: ArrayLike) -> NDArray[np.bool_]:
        """Which margins rounding does not explain."""
        return np.asarray(np.asarray(margin, np.float64) > self.width)


def margins(best: ArrayLike, given: ArrayLike) -> FloatArray:
    """Best score less the given token's score, each of shape (n,).

    Raises
    ------
    TaisError
        Where a score is not finite or a token scores above the best: then the best was not looked for in
        all of the vocabulary.
    """
    top, own = np.broadcast_arrays(np.asarray(best, np.float64), np.asarray(given, np.float64))
    if not (np.isfinite(top).all() and np.isfinite(own).all()):
        raise TaisError("a token of the audit has no finite score", remedy="score the arm again")
    if (own > top).any():
        raise TaisError(f"token {int((own > top).argmax())} scores above the best score of its position")
    return np.asarray(top - own)


def control_bound(
    control_misses: ArrayLike,
    tokens_ratio: float = 1.0,
    alpha: float = 0.05,
    *,
    typical: float = 0.0,
    spread: float | None = None,
) -> float:
    """Margin that the largest miss of a candidate like the control exceeds with probability alpha at most.

    Parameters
    ----------
    control_misses
        Positive margins of the control's misses, shape (m,).
    tokens_ratio
        Tokens of the candidate per token of the control.
    alpha
        For all misses of the candidate together, in (0, 1).
    typical
        Size of a miss that rounding to the dtype alone makes; counts like 8 misses seen. 0 for no such
        knowledge.
    spread
        Log-sd of the noise over positions; None reads it from the misses.

    Returns
    -------
    float
        0 without misses and without a typical size.

    Notes
    -----
    Rounding noise is not the same at every position, so margins of misses are taken for a mixture:
    exponential, with a mean that is lognormal over positions. Its log-sd is told from the margins'
    coefficient of variation, and is never taken to be less than 0.5. Given the mean s of m misses, one more
    exceeds x with probability E (1 + x / (m' s e^(tau Z - tau^2 / 2)))^-m', where m' = m / (2 e^(tau^2) - 1)
    are the misses of even noise that tell as much, and the bound serves r m such misses. Margins under even
    Gaussian noise fall off faster than exponentially, which makes the bound conservative there.

    The largest miss itself would be exceeded in half of all correct runs. A control with few misses says
    little of their size: the typical one then holds the bound down, and up where the control has none.

    It fails for misses from two mechanisms, one of them rare and wide; see the tables of
    docs/conformance.md for its size.

    References
    ----------
    Lawless (1971), Technometrics 13, 725-730 (prediction for the exponential distribution).
    """
    found = np.asarray(control_misses, np.float64)
    if not (np.isfinite(found).all() and (found > 0).all() and tokens_ratio > 0 and 0 < alpha < 1):
        raise TaisError("the control's misses need positive finite margins, alpha a value in (0, 1)")
    counted = len(found) + (_TYPICAL_MISSES if typical > 0 else 0)
    if counted == 0:
        return 0.0
    mean = (float(found.sum()) + _TYPICAL_MISSES * typical) / counted
    spread = _spread(found) if spread is None else spread
    width = _predicted(alpha / max(tokens_ratio * max(len(found), 1), 1.0), counted, spread)
    return max(float(found.max(initial=0.0)), mean * width)


def _spread(misses: FloatArray) -> float:
    """Log-sd of the noise over positions, from the coefficient of variation of the margins of misses."""
    if len(misses) < _FEWEST_FOR_SPREAD:
        return _LEAST_SPREAD
    squared = float(misses.var() / misses.mean() ** 2)
    return float(np.clip(math.sqrt(max(0.0, math.log((1 + squared) / _EVEN))), _LEAST_SPREAD, _MOST_SPREAD))


@functools.cache
def _normal() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of a mean over a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return nodes, weights / weights.sum()


def _predicted(level: float, misses: int, spread: float) -> float:
    """Multiple of the mean miss that one more exceeds with a small probability."""
    from scipy.optimize import brentq  # heavy

    nodes, weights = _normal()
    telling = misses / (2 * math.exp(spread**2) - 1)
    sizes = telling * np.exp(spread * nodes - spread**2 / 2)

    def beyond(x: float) -> float:
        return float((weights * (1 + x / sizes) ** -telling).sum()) - level

    upper = 1.0
    while beyond(upper) > 0:
        upper *= 2
    return float(brentq(beyond, 0.0, upper))


def band(
    control_margins_of_misses: ArrayLike,
    dtype_eps: float,
    score_scale: float,
    *,
    roundings: int = 1,
    tokens_ratio: float = 1.0,
    alpha: float = 0.05,
) -> Band:
    """Numerical band of an audit: the larger of the control's bound and of the dtype's rounding.

    Parameters
    ----------
    control_margins_of_misses
        Positive margins of the reference arm's own misses, shape (m,).
    dtype_eps
        A value of `ROUNDOFF`.
    score_scale
        Typical magnitude of the best scores, in the units of the margins.
    roundings
        Roundings in a row that reach the score with independent errors: 1 for the output alone, about
        2 x layers + 1 for a residual stream kept in this dtype.
    tokens_ratio, alpha
        As for :func:`control_bound`.

    Notes
    -----
    The rounding part is 4 eps scale sqrt(roundings): a margin compared over two passes holds four errors of
    at most eps scale each, added at their worst, and errors of successive roundings add like a random walk.
    It is a bound for one rounding and a rule of thumb for many: errors of single layers can be amplified by
    later ones. The control's bound and a float32 re-check are the measured answers.

    A control of fewer tokens than the candidate's tells too little of how noise varies: where its misses show
    a log-sd above 0.5, some 10 to 20 % of lossless arms lie outside the width (log-sd .75 and 1, a control of
    2,000 tokens for 12,000; docs/conformance.md), and a miss is sure only beyond the bound for 1.25.
    """
    if not (dtype_eps > 0 and math.isfinite(score_scale) and score_scale >= 0 and roundings >= 1):
        raise TaisError("a band needs a positive eps, a finite scale and at least one rounding")
    rounding = _ERRORS * dtype_eps * score_scale * math.sqrt(roundings)
    typical = dtype_eps * score_scale
    misses = np.asarray(control_margins_of_misses, np.float64)
    control = control_bound(misses, tokens_ratio, alpha, typical=typical)
    width = sure = max(control, rounding)
    if tokens_ratio > _SMALL_CONTROL and _spread(misses) > _LEAST_SPREAD:
        widest = control_bound(misses, tokens_ratio, alpha, typical=typical, spread=_MOST_SPREAD)
        sure = max(width, widest)
    return Band(width, control, rounding, sure)


def share_upper_bound(affected: int, n: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson upper bound of a share; 1 - (1 - confidence)^(1/n) without any.

    For the endpoint difference: an answer none of whose tokens leaked is the target's own, so the share of
    prompts whose answer has a miss outside the band bounds the change of any binary endpoint. `affected` of
    `n` prompts then; the prompts stand for a larger population of them.
    """
    normal_quantile(confidence)
    return float(clopper_pearson(affected, n, 2 * confidence - 1)[1]) if confidence > 0.5 else 1.0


def leak_upper_bound(
    n_tokens: int, misses: int, detect_probability: float, confidence: float = 0.95
) -> float:
    """One-sided upper bound on the share of tokens that the draft wrote.

    Parameters
    ----------
    n_tokens, misses
        Tokens of the audit, and misses outside the band among them.
    detect_probability
        Probability that a leaked token shows: share of positions where the draft's own choice has a margin
        outside the band. A leaked token that is the target's argmax changes nothing and cannot be seen.
    confidence
        In (0.5, 1).

    Returns
    -------
    float
        Clopper-Pearson bound of the share of misses over the detection probability, at most 1; 1 where
        nothing could be seen.

    Notes
    -----
    Tokens count as independent, and the detection probability as known. Where leaks come in runs, bound the
    share of affected answers instead (:func:`share_upper_bound`).
    """
    if not (0 <= detect_probability <= 1 and 0.5 < confidence < 1):
        raise TaisError("the probability of detection lies in [0, 1], the confidence in (0.5, 1)")
    seen = share_upper_bound(misses, n_tokens, confidence)
    return min(1.0, seen / detect_probability) if detect_probability > 0 else 1.0
