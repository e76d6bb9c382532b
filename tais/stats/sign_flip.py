"""Exact test that paired differences go either way alike, and the least p-value it can have.

Where two arms are one stack, exchanging them within a cluster changes nothing: given its size, each
cluster's difference is positive or negative with probability 1/2. For clusters of one binary item this is
McNemar's exact test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["SignFlip", "attainable_mcnemar_p", "sign_flip_test"]

_LARGEST_DENOMINATOR = 1000
_FINEST = 512
"""Steps in which the largest difference is measured where there is no common denominator."""
_BUDGET = 20_000_000
"""Cosines evaluated at most, about half a second; 100,000 scores of all sizes need them."""
_REACH = 12
"""Standard deviations that the transform holds; beyond lies less than 2 exp(-72) (Hoeffding)."""
_TRANSFORM_ERROR = 1e-12
"""Generous bound of the rounding error of a sum of masses from a discrete Fourier transform."""


@dataclass(frozen=True, slots=True)
class SignFlip:
    """Two-sided sign-flip permutation test of a sum of differences."""

    p: float
    attainable: float
    """Least p-value at these sizes of the differences: all of them in one direction."""
    clusters: int
    """Clusters that differ."""
    exact: bool
    """False where the sizes were rounded to a lattice; the p-value is then exact for the rounded ones."""


def attainable_mcnemar_p(discordant: ArrayLike) -> FloatArray:
    """Least two-sided p-value of McNemar's exact test.

    Parameters
    ----------
    discordant
        Number of discordant pairs, whole; any shape.

    Returns
    -------
    FloatArray
        2^(1 - discordant), at most 1: all flips in one direction. The p-value itself is
        :func:`tais.stats.paired.mcnemar` with ``mid_p=False``.

    References
    ----------
    Tarone (1990), Biometrics 46, 515-522.
    """
    flips = np.asarray(discordant, np.float64)
    if not np.all((flips >= 0) & (flips == np.floor(flips))):
        raise TaisError("discordant pairs are counted in whole numbers that are not negative")
    return np.asarray(np.minimum(np.exp2(1 - flips), 1.0))


def sign_flip_test(differences: ArrayLike) -> SignFlip:
    """Two-sided sign-flip test that paired differences are symmetric about 0.

    Parameters
    ----------
    differences
        Cluster means of candidate minus reference, finite, shape (clusters,).

    Returns
    -------
    SignFlip
        Probability, over all sign vectors, of a sum at least as far from 0 as the observed one; 1 where
        nothing differs.

    Raises
    ------
    TaisError
        Where a difference is not finite or the shape is another.

    Notes
    -----
    Means of 0, 1 outcomes are fractions, so the sums lie on a lattice and their distribution, whose
    characteristic function is the product of the cosines, is inverted exactly; 1e-12 is added for rounding.
    Differences without a small common denominator (scores in [0, 1], clusters of very uneven sizes) are
    rounded to a lattice of 1 / 512 of the largest, coarser for many clusters. Signs are as symmetric after
    rounding as before, so the test stays valid; only its statistic moves a little. Unlike random signs
    (:func:`tais.stats.null.sign_flip_p`) it needs no seed and can fall below 1 / (replicates + 1), without
    which no endpoint of a large family could be shown worse.

    Fails where arms are not exchangeable within a cluster although their means are equal: it is a test of
    equal stacks and not of equal rates.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21.
    Pagano, Tritchler (1983), Journal of the American Statistical Association 78, 435-440.
    """
    d = np.asarray(differences, np.float64)
    if d.ndim != 1 or not np.isfinite(d).all():
        raise TaisError("a sign-flip test needs one finite difference per cluster")
    steps, exact = _on_lattice(d)
    sizes = np.abs(steps[steps != 0])
    if len(sizes) == 0:
        return SignFlip(1.0, 1.0, 0, exact)
    least = min(2.0 ** (1 - len(sizes)), 1.0)
    p = _two_sided(sizes, abs(int(steps.sum())))
    return SignFlip(min(max(p, least), 1.0), least, len(sizes), exact)


def _on_lattice(d: FloatArray) -> tuple[NDArray[np.int64], bool]:
    """Write the differences as whole multiples of one step, and say whether they are."""
    sizes = np.unique(np.abs(d[np.abs(d) > 1e-12]))
    if len(sizes) == 0:
        return np.zeros(len(d), np.int64), True
    common = _common_denominator(sizes)
    if common is not None:
        steps = np.rint(d * common).astype(np.int64)
        steps //= max(1, int(np.gcd.reduce(steps)))
        if _cost(steps) <= _BUDGET:
            return steps, True
    # The step follows the largest difference, so that small scores are not all rounded to 0.
    levels = _FINEST
    while levels > 16 and _cost(_rounded(d, levels)) > _BUDGET:
        levels //= 2
    return _rounded(d, levels), False


def _rounded(d: FloatArray, levels: int) -> NDArray[np.int64]:
    return np.asarray(np.rint(d * (levels / np.abs(d).max())), np.int64)


def _common_denominator(sizes: FloatArray) -> int | None:
    """Least common denominator of sizes that are fractions; None where it is large or there is none."""
    common = 1
    for size in sizes.tolist():
        fraction = Fraction(size).limit_denominator(_LARGEST_DENOMINATOR)
        common = math.lcm(common, fraction.denominator)
        if abs(float(fraction) - size) > 1e-12 or common > _BUDGET:
            return None
    return common


def _cost(steps: NDArray[np.int64]) -> int:
    sizes = np.abs(steps[steps != 0])
    return len(np.unique(sizes)) * _points(sizes) // 2


def _points(sizes: NDArray[np.int64]) -> int:
    """Length of a transform that holds every sum, or all but those far out in the tails."""
    spread = math.sqrt(float((sizes.astype(np.float64) ** 2).sum()))
    reach = min(int(sizes.sum()), math.ceil(_REACH * spread))
    return 1 << (2 * reach + 1).bit_length()


def _two_sided(sizes: NDArray[np.int64], observed: int) -> float:
    """Probability that a sum of these sizes with random signs is at least as far from 0 as observed."""
    if observed == 0:
        return 1.0
    points = _points(sizes)
    index = np.arange(points // 2 + 1)
    spectrum = np.ones(len(index))
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        # Whole turns are taken off in whole numbers: the cosine of a large angle would lose digits.
        turns = (int(size) * index % points) / points
        spectrum *= np.cos(2 * np.pi * turns) ** int(count)
    # Real and even, so the inverse transform of the half spectrum is the distribution itself.
    mass = np.fft.irfft(spectrum, points)
    return float(2 * np.maximum(mass[observed : points // 2], 0).sum() + _TRANSFORM_ERROR)
