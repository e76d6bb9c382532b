"""Draft pull: diverging tokens that are the draft's own choice, against what chance and ties give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tais.errors import TaisError
from tais.stats.proportions import FloatArray, Interval, as_interval, wilson

__all__ = ["DraftPull", "draft_pull", "poisson_binomial_tail", "tie_chance"]

_EXACT = 5000
"""Rows up to which the tail is summed exactly (30 ms); a skewness-corrected normal law beyond."""


@dataclass(frozen=True, slots=True)
class DraftPull:
    """Diverging tokens that are the draft's argmax."""

    n: int
    matches: int
    share: float
    wilson: Interval
    """95 % interval of the share."""
    expected: float
    """Share that chance and ties give."""
    p: float
    """One-sided, exact: at least so many matches by chance alone."""
    pull: float
    """Estimated share of divergences that the draft wrote, in [0, 1]: matches beyond chance over what
    could be beyond chance."""
    pull_ci: Interval
    """95 %, by inverting the exact test at both ends."""


def tie_chance(alternatives: ArrayLike, draft_among_them: ArrayLike) -> FloatArray:
    """Chance of a match where rounding picked one of the near-tied tokens at random.

    Parameters
    ----------
    alternatives
        Tokens within the band of the best score, other than the token the reference gave, shape (n,).
    draft_among_them
        Whether the draft's argmax is one of them, shape (n,).

    Returns
    -------
    FloatArray
        1 / alternatives where the draft's choice is among them, else 0.
    """
    count, inside = np.asarray(alternatives, np.float64), np.asarray(draft_among_them, bool)
    if ((count < 1) & inside).any() or (count < 0).any():
        raise TaisError("a draft's choice among the near-tied tokens needs at least one of them")
    return np.where(inside, 1 / np.maximum(count, 1), 0.0)


def draft_pull(matches: ArrayLike, chance: ArrayLike) -> DraftPull:
    """Compare matches with the draft against their chance, row by row.

    Parameters
    ----------
    matches
        Whether the diverging token is the draft's argmax, shape (n,).
    chance
        Probability of a match without any pull, shape (n,), in [0, 1]; from :func:`tie_chance` or from
        the control's own misses.

    Returns
    -------
    DraftPull
        Under a pull w a row matches with probability chance + w (1 - chance).

    Raises
    ------
    TaisError
        Without rows, or for a chance outside [0, 1].

    Notes
    -----
    Rows count as independent: give the first divergence of each answer. A chance of 0 with a match is a
    certain pull (p = 0). Draft and target resemble each other, so the runner-up is often the draft's choice:
    a chance of 1 / vocabulary would call every rounding error a leak.
    """
    hit, base = np.asarray(matches, bool), np.asarray(chance, np.float64)
    if hit.shape != base.shape or hit.ndim != 1 or len(hit) == 0:
        raise TaisError("draft pull needs one chance for each diverging token, and at least one token")
    if not ((base >= 0) & (base <= 1)).all():
        raise TaisError("the chance of a match lies in [0, 1]")
    n, count = len(hit), int(hit.sum())
    room = float((1 - base).sum())
    pull = (count - float(base.sum())) / room if room > 0 else 0.0
    return DraftPull(
        n=n,
        matches=count,
        share=count / n,
        wilson=as_interval(wilson(count, n)),
        expected=float(base.mean()),
        p=poisson_binomial_tail(base, count),
        pull=min(max(pull, 0.0), 1.0),
        pull_ci=_invert(base, count),
    )


def poisson_binomial_tail(probabilities: FloatArray, count: int) -> float:
    """Probability of at least `count` successes in independent trials, probabilities of shape (n,).

    Notes
    -----
    Exact by convolution up to 5000 trials; beyond, the refined normal approximation.

    References
    ----------
    Hong (2013), Computational Statistics & Data Analysis 59, 41-51.
    """
    if count <= 0:
        return 1.0
    if len(probabilities) > _EXACT:
        return _normal_tail(probabilities, count)
    mass = np.zeros(len(probabilities) + 1)
    mass[0] = 1.0
    for i, p in enumerate(probabilities):
        mass[1 : i + 2] = mass[1 : i + 2] * (1 - p) + mass[: i + 1] * p
        mass[0] *= 1 - p
    # Summed from the small end: the tail keeps its digits.
    return min(float(mass[count:][::-1].sum()), 1.0)


def _normal_tail(p: FloatArray, count: int) -> float:
    variance = float((p * (1 - p)).sum())
    if variance == 0:
        return float(p.sum() >= count)
    x = (count - 0.5 - float(p.sum())) / math.sqrt(variance)
    skew = float((p * (1 - p) * (1 - 2 * p)).sum()) / variance**1.5
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    tail = math.erfc(x / math.sqrt(2)) / 2 - skew * (1 - x * x) * density / 6
    return float(min(max(tail, 0.0), 1.0))


def _invert(base: FloatArray, count: int, alpha: float = 0.05) -> Interval:
    """Pulls that neither one-sided exact test rejects at alpha / 2."""

    def more(w: float) -> float:
        return poisson_binomial_tail(base + w * (1 - base), count)

    def fewer(w: float) -> float:
        return 1 - poisson_binomial_tail(base + w * (1 - base), count + 1)

    low = _bisect(lambda w: more(w) <= alpha / 2)
    high = _bisect(lambda w: fewer(w) > alpha / 2)
    return low, high


def _bisect(holds_below: Callable[[float], bool]) -> float:
    """Largest w in [0, 1] at which a condition still holds that holds from 0 on; 0 or 1 at the ends."""
    if not holds_below(0.0):
        return 0.0
    if holds_below(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if holds_below(middle) else (low, middle)
    return (low + high) / 2
