"""The teacher-forced audit at T = 0: margins, numerical band, conformance rate and what it bounds.

The margin of a token is the best score at its position less its own score: 0 where it is the target's argmax
or ties with it. Tokens pass by score and never by id.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import (
    FloatArray,
    Interval,
    as_interval,
    clopper_pearson,
    normal_quantile,
    wilson,
)

__all__ = [
    "ROUNDOFF",
    "Band",
    "ConformanceRate",
    "ScreenBounds",
    "band",
    "conformance_rate",
    "control_bound",
    "exceedance_p",
    "leak_upper_bound",
    "margins",
    "screen_bounds",
    "share_upper_bound",
]

ROUNDOFF = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}
"""Largest relative error of rounding to nearest (half the spacing at 1)."""
_ERRORS = 4
"""Errors in a comparison of two margins: two scores, each computed in two passes."""


@dataclass(frozen=True, slots=True)
class Band:
    """Margin up to which a miss may be rounding."""

    width: float
    """The larger of the two."""
    control: float
    """What the control's misses predict for the largest of the candidate's."""
    rounding: float
    """What the dtype alone explains."""

    def outside(self, margin: ArrayLike) -> NDArray[np.bool_]:
        """Which margins rounding does not explain."""
        return np.asarray(np.asarray(margin, np.float64) > self.width)


@dataclass(frozen=True, slots=True)
class ConformanceRate:
    """Tokens of an arm against the target's argmax."""

    n: int
    ties: int
    """Tokens with margin 0 although another token has the same score."""
    misses: int
    """Tokens with a positive margin."""
    rate: float
    """Share of tokens without a miss."""
    wilson: Interval
    """95 %."""
    outside: int
    """Misses that the band does not explain."""
    largest: float
    """Largest margin."""
    beyond_control: int
    """Misses larger than the control's largest."""
    beyond_control_p: float
    """Probability of so many, were both arms alike."""


@dataclass(frozen=True, slots=True)
class ScreenBounds:
    """One-sided upper bounds that an audit gives without a second decode."""

    leaked_tokens: float
    """Share of tokens that the draft wrote, seen or not."""
    endpoint_difference: float
    """Share of answers with at least one miss outside the band."""
    confidence: float


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


def control_bound(control_misses: ArrayLike, tokens_ratio: float = 1.0, alpha: float = 0.05) -> float:
    """Margin that the largest miss of a candidate like the control exceeds with probability alpha at most.

    Parameters
    ----------
    control_misses
        Positive margins of the control's misses, shape (m,).
    tokens_ratio
        Tokens of the candidate per token of the control.
    alpha
        For all misses of the candidate together, in (0, 1).

    Returns
    -------
    float
        0 without misses.

    Notes
    -----
    Predictive bound of an exponential tail: with mean s of m misses, one more exceeds x with probability
    (1 + x / (m s))^-m, and the bound serves r m such misses. The largest miss itself would be exceeded in
    half of all correct runs. Margins of rounding fall off faster than exponentially, which makes the bound
    conservative; few misses make it wide. It fails for misses that come from two mechanisms, one of them
    rare and wide.

    References
    ----------
    Lawless (1971), Technometrics 13, 725-730 (prediction for the exponential distribution).
    """
    found = np.asarray(control_misses, np.float64)
    if not (np.isfinite(found).all() and (found > 0).all() and tokens_ratio > 0 and 0 < alpha < 1):
        raise TaisError("the control's misses need positive finite margins, alpha a value in (0, 1)")
    m = len(found)
    if m == 0:
        return 0.0
    expected = max(tokens_ratio * m, 1.0)
    width = float(found.sum()) * math.expm1(math.log(expected / alpha) / m)
    return max(float(found.max()), width)


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
    """
    if not (dtype_eps > 0 and math.isfinite(score_scale) and score_scale >= 0 and roundings >= 1):
        raise TaisError("a band needs a positive eps, a finite scale and at least one rounding")
    rounding = _ERRORS * dtype_eps * score_scale * math.sqrt(roundings)
    control = control_bound(control_margins_of_misses, tokens_ratio, alpha)
    return Band(max(control, rounding), control, rounding)


def exceedance_p(candidate_tokens: int, control_tokens: int, beyond: int) -> float:
    """Probability that the `beyond` largest margins of both arms are all the candidate's, were they alike.

    Exact for exchangeable tokens; 1 where nothing lies beyond the control.
    """
    if min(candidate_tokens, control_tokens, beyond) < 0 or beyond > candidate_tokens:
        raise TaisError("exceedances are counts, at most the candidate's tokens")
    i = np.arange(beyond)
    return float(np.exp(np.log((candidate_tokens - i) / (candidate_tokens + control_tokens - i)).sum()))


def conformance_rate(
    candidate: FloatArray, control: FloatArray, limit: Band, tied: NDArray[np.bool_] | None = None
) -> ConformanceRate:
    """Conformance of a candidate's tokens to the target's argmax.

    Parameters
    ----------
    candidate, control
        Margins of all tokens, shapes (n,) and (m,); see :func:`margins`.
    limit
        The numerical band.
    tied
        Which of the candidate's positions have another token with the best score, shape (n,).

    Raises
    ------
    TaisError
        Without tokens, or for a negative margin.
    """
    if len(candidate) == 0:
        raise TaisError("an audit needs at least one token")
    if not ((candidate >= 0).all() and (control >= 0).all()):
        raise TaisError("margins are not negative")
    misses = int((candidate > 0).sum())
    beyond = int((candidate > control.max(initial=0.0)).sum()) if len(control) else 0
    return ConformanceRate(
        n=len(candidate),
        ties=0 if tied is None else int((tied & (candidate == 0)).sum()),
        misses=misses,
        rate=1 - misses / len(candidate),
        wilson=as_interval(wilson(len(candidate) - misses, len(candidate))),
        outside=int(limit.outside(candidate).sum()),
        largest=float(candidate.max()),
        beyond_control=beyond,
        beyond_control_p=exceedance_p(len(candidate), len(control), beyond),
    )


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


def screen_bounds(
    outside: ArrayLike, prompt: ArrayLike, detect_probability: float, confidence: float = 0.95
) -> ScreenBounds:
    """Bounds of an audit-only screen from its tokens.

    Parameters
    ----------
    outside
        Whether each token's margin lies outside the band, shape (n,).
    prompt
        Prompt of each token, shape (n,); any integers.
    detect_probability, confidence
        As for :func:`leak_upper_bound`.

    Raises
    ------
    TaisError
        Without tokens, or for arrays of unequal length.

    Notes
    -----
    The second bound is about leaks that show. Ties and rounding change answers too, in either arm alike.
    """
    missed, where = np.asarray(outside, bool), np.asarray(prompt)
    if missed.ndim != 1 or missed.shape != where.shape or len(missed) == 0:
        raise TaisError("bounds need one prompt for each token, and at least one token")
    affected, prompts = len(np.unique(where[missed])), len(np.unique(where))
    return ScreenBounds(
        leak_upper_bound(len(missed), int(missed.sum()), detect_probability, confidence),
        share_upper_bound(affected, prompts, confidence),
        confidence,
    )
