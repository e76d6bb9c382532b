"""How far scorers agree, and what a judge's errors do to a rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Agreement",
    "CorrectedRate",
    "FlipConfirmation",
    "agreement",
    "confirmed_flips",
    "corrected_difference",
    "rogan_gladen",
]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two scorers on the same answers."""

    n: int
    observed: float
    """Share of answers given the same label."""
    kappa: float | None
    """Cohen's kappa; None where both scorers give one and the same label throughout."""
    standard_error: float | None
    confusion: dict[tuple[str, str], int]
    """Answers by (label of the first scorer, label of the second)."""
    disagreements: tuple[int, ...]
    """Indices of the answers that they label differently."""


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Return Cohen's kappa of two labellings, with its standard error.

    Parameters
    ----------
    first, second
        Labels, aligned.

    References
    ----------
    Cohen (1960), Educational and Psychological Measurement 20, 37-46. Standard error: Fleiss, Cohen and
    Everitt (1969), Psychological Bulletin 72, 323-327.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"{len(first)} labels against {len(second)}")
    names = sorted({*first, *second})
    place = {name: index for index, name in enumerate(names)}
    table = np.zeros((len(names), len(names)))
    for a, b in zip(first, second, strict=True):
        table[place[a], place[b]] += 1
    kappa, error = _kappa(table / len(first), len(first))
    return Agreement(
        n=len(first),
        observed=float(np.trace(table) / len(first)),
        kappa=kappa,
        standard_error=error,
        confusion=dict(Counter(zip(first, second, strict=True))),
        disagreements=tuple(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b),
    )


def _kappa(share: NDArray[np.float64], n: int) -> tuple[float | None, float | None]:
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    chance = float(rows @ columns)
    if chance >= 1:
        return None, None
    kappa = (float(np.trace(share)) - chance) / (1 - chance)
    diagonal = np.diag(share)
    kept = float((diagonal * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    crossed = share * (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * float(crossed.sum() - np.trace(crossed))
    variance = (kept + off - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    return kappa, math.sqrt(max(variance, 0.0))


@dataclass(frozen=True, slots=True)
class CorrectedRate:
    """A rate, corrected for the errors of the judge that measured it."""

    estimate: float
    low: float
    high: float


def rogan_gladen(
    positive: int,
    n: int,
    true_positive: tuple[int, int],
    true_negative: tuple[int, int],
    confidence: float = 0.95,
) -> CorrectedRate:
    """Correct a rate for a judge's sensitivity and specificity.

    Parameters
    ----------
    positive, n
        Answers that the judge called positive, of all.
    true_positive
        Of the positives in a labelled sample: those the judge found, and how many there were.
    true_negative
        Of its negatives: those the judge left alone, and how many there were.
    confidence
        Two-sided, in (0, 1).

    Returns
    -------
    CorrectedRate
        Estimate of Rogan and Gladen clipped to [0, 1]; interval of Lang and Reiczigel, which accounts for
        sensitivity and specificity having been estimated.

    Raises
    ------
    ValueError
        A judge that is no better than chance (sensitivity + specificity <= 1) corrects nothing.

    References
    ----------
    Rogan and Gladen (1978), American Journal of Epidemiology 107, 71-76. Lang and Reiczigel (2014),
    Preventive Veterinary Medicine 113, 13-22.
    """
    (hit, positives), (spared, negatives) = true_positive, true_negative
    if not (0 <= positive <= n and 0 <= hit <= positives and 0 <= spared <= negatives):
        raise ValueError("counts must lie between 0 and their totals")
    if min(n, positives, negatives) == 0:
        raise ValueError("a correction needs answers, labelled positives and labelled negatives")
    sensitivity, specificity = hit / positives, spared / negatives
    if sensitivity + specificity <= 1:
        raise ValueError("sensitivity + specificity must exceed 1: this judge is no better than chance")
    estimate = (positive / n + specificity - 1) / (sensitivity + specificity - 1)
    low, high = _lang_reiczigel(positive, n, (hit, positives), (spared, negatives), confidence)
    return CorrectedRate(min(max(estimate, 0.0), 1.0), low, high)


def _lang_reiczigel(
    positive: int, n: int, found: tuple[int, int], spared: tuple[int, int], confidence: float
) -> tuple[float, float]:
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    size, size_se, size_sp = n + z * z, found[1] + 2, spared[1] + 2
    rate = (positive + z * z / 2) / size
    se, sp = (found[0] + 1) / size_se, (spared[0] + 1) / size_sp
    youden = se + sp - 1
    if youden <= 0:
        return 0.0, 1.0
    centre = (rate + sp - 1) / youden
    var_se, var_sp = se * (1 - se) / size_se, sp * (1 - sp) / size_sp
    shift = 2 * z * z * (centre * var_se - (1 - centre) * var_sp)
    variance = rate * (1 - rate) / size + centre**2 * var_se + (1 - centre) ** 2 * var_sp
    half = z * math.sqrt(variance) / youden
    return min(max(centre + shift - half, 0.0), 1.0), min(max(centre + shift + half, 0.0), 1.0)


def corrected_difference(
    difference: float,
    interval: tuple[float, float],
    true_positive: tuple[int, int],
    true_negative: tuple[int, int],
    confidence: float = 0.95,
) -> CorrectedRate:
    """Correct a paired difference of rates for a judge's sensitivity and specificity.

    Parameters
    ----------
    difference, interval
        Candidate minus reference as the judge saw them, in [-1, 1], and its interval.
    true_positive, true_negative
        As for :func:`rogan_gladen`.
    confidence
        Of the interval, two-sided, in (0, 1).

    Returns
    -------
    CorrectedRate
        The difference over Youden's index, clipped to [-1, 1]. To each side of the interval, scaled alike,
        the error of the index by the delta method is added in squares; counts shrunken as by Lang and
        Reiczigel.

    Raises
    ------
    ValueError
        As :func:`rogan_gladen`.

    Notes
    -----
    A judge that errs alike in both arms sees Youden's index times the true difference, so it hides part of a
    leak and never makes one up. The correction fails where it errs more on one arm's style of answer than on
    the other's.

    References
    ----------
    Rogan and Gladen (1978). Adding in squares: Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    rogan_gladen(0, 1, true_positive, true_negative, confidence)
    (hit, positives), (spared, negatives) = true_positive, true_negative
    youden = hit / positives + spared / negatives - 1
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrunken = [((right + 1) / (total + 2), total + 2) for right, total in (true_positive, true_negative)]
    spread = z * math.sqrt(sum(share * (1 - share) / size for share, size in shrunken)) / youden
    estimate = difference / youden
    low, high = (abs(difference - bound) / youden for bound in interval)
    return CorrectedRate(
        min(max(estimate, -1.0), 1.0),
        max(estimate - math.hypot(low, estimate * spread), -1.0),
        min(estimate + math.hypot(high, estimate * spread), 1.0),
    )


@dataclass(frozen=True, slots=True)
class FlipConfirmation:
    """Items that flip between two arms under one scorer, looked at with a second."""

    flips: int
    confirmed: int
    """The second scorer sees the same flip, in the same direction."""
    unseen: int
    """The second scorer sees no change."""
    reversed: int
    """The second scorer sees a change in the other direction."""


def confirmed_flips(
    reference: NDArray[np.float64],
    candidate: NDArray[np.float64],
    second_reference: NDArray[np.float64],
    second_candidate: NDArray[np.float64],
) -> FlipConfirmation:
    """Count how many flips between arms a second scorer confirms.

    Parameters
    ----------
    reference, candidate
        Outcomes under the first scorer, shape (n,).
    second_reference, second_candidate
        Outcomes of the same answers under the second.
    """
    flips = np.sign(candidate - reference)
    second = np.sign(second_candidate - second_reference)
    flipped = flips != 0
    return FlipConfirmation(
        flips=int(flipped.sum()),
        confirmed=int((flipped & (second == flips)).sum()),
        unseen=int((flipped & (second == 0)).sum()),
        reversed=int((flipped & (second == -flips)).sum()),
    )
