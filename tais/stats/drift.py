"""Whether all misses of a complete audit together are more than the reference's own.

Single misses inside the numerical band prove nothing; a stack that misses more often, or farther, than the
reference does against itself is another stack all the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray
from tais.stats.sign_flip import sign_flip_test

__all__ = ["DriftTest", "MissRate", "drift_test", "rate_ratio_bound"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MissRate:
    """Misses of one arm's answers."""

    tokens: int
    misses: int
    dispersion: float = 1.0
    """How much more the misses vary than independent ones: they come together in answers. At least 1."""

    @classmethod
    def of(cls, tokens: IntArray, misses: IntArray) -> MissRate:
        """Sum up answers, arrays of shape (answers,)."""
        total = int(misses.sum())
        squares = int((misses.astype(np.int64) ** 2).sum())
        return cls(int(tokens.sum()), total, squares / total if total else 1.0)

    @property
    def rate(self) -> float:
        """Misses per token; 0 without tokens."""
        return self.misses / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class DriftTest:
    """One-sided tests that a candidate misses no more than the reference does."""

    misses_p: float
    """Of the number of misses."""
    margin_p: float
    """Of the sum of their clipped margins."""
    attainable: float = 0.0
    """Least value that `p` can have given the answers that differ: all of them for the worse."""

    @property
    def p(self) -> float:
        """The smaller one, for two tests (Bonferroni)."""
        return min(1.0, 2 * min(self.misses_p, self.margin_p))


def drift_test(
    reference_misses: IntArray, candidate_misses: IntArray, reference: FloatArray, candidate: FloatArray
) -> DriftTest:
    """Paired permutation tests of misses and of clipped margins: the arms are swapped within answers.

    Parameters
    ----------
    reference_misses, candidate_misses
        Misses of each item's answers, shape (items,), aligned.
    reference, candidate
        Sums of their margins, each margin clipped at the band, so that no single token decides.

    Notes
    -----
    Exact for the swaps, by :func:`tais.stats.sign_flip.sign_flip_test`: of two equal stacks either may have
    given either answer to an item, whatever their lengths are. An item without misses in both, or with one
    answer of both, says nothing.

    Raises
    ------
    TaisError
        For arrays of unequal length.
    """
    if not len(reference_misses) == len(candidate_misses) == len(reference) == len(candidate):
        raise TaisError("a paired test needs the answers of both arms to the same items")
    (misses_p, fewest), (margin_p, least) = (
        _more(candidate_misses - reference_misses),
        _more(candidate - reference),
    )
    tested = DriftTest(misses_p, margin_p)
    return replace(tested, attainable=min(tested.p, fewest, least))


def _more(differences: NDArray[np.int64] | FloatArray) -> tuple[float, float]:
    """Return a one-sided p-value, and the least one for two tests, which is the two-sided one's."""
    d = np.asarray(differences, np.float64)
    found = sign_flip_test(d)
    # The law of the sum is symmetric.
    total = float(d.sum())
    p = found.p / 2 if total > 0 else 1.0 if total == 0 else min(1.0, 1 - found.p / 2)
    return p, found.attainable


def rate_ratio_bound(candidate: MissRate, control: MissRate, confidence: float = 0.95) -> float:
    """One-sided lower bound of the ratio of two rates of misses.

    Parameters
    ----------
    candidate, control
        Misses of two arms.
    confidence
        In (0.5, 1).

    Returns
    -------
    float
        0 where the candidate has no misses; finite even where the control has none.

    Notes
    -----
    Given all misses of both, those of the candidate are binomial (Przyborowski and Wilenski 1940), and the
    Clopper-Pearson bound of their share is turned into one of the ratio. Misses that come together count
    for fewer: all counts are divided by the larger dispersion. Answers that both arms share make the two
    counts vary together, which makes the bound conservative.

    Raises
    ------
    TaisError
        Where an arm has no tokens.
    """
    from scipy.special import betaincinv

    if not (candidate.tokens > 0 and control.tokens > 0 and 0.5 < confidence < 1):
        raise TaisError("a ratio of rates needs tokens of both arms and a confidence in (0.5, 1)")
    telling = max(1.0, candidate.dispersion, control.dispersion)
    ours, theirs = candidate.misses / telling, control.misses / telling
    if ours == 0:
        return 0.0
    share = float(betaincinv(ours, theirs + 1, 1 - confidence))
    odds = share / (1 - share) if share < 1 else math.inf
    return odds * control.tokens / candidate.tokens
