"""Randomised probability integral transform of sampled tokens, and its uniformity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.conformance.laws import IntArray
from tais.stats.conformance.score_tests import cell_ratios
from tais.stats.proportions import FloatArray

__all__ = ["Pit", "Uniformity", "uniformity"]

_FINE = 100_000
"""Bins kept (0.8 MB). The distance is read at their edges: of 1000 bins the p-values would not be uniform."""
_COARSE = 100


@dataclass(frozen=True, slots=True)
class Uniformity:
    """Tests that values in [0, 1) are uniform."""

    n: int
    ks: float
    """Largest distance to the uniform distribution function, at the edges of the bins."""
    ks_p: float
    chi2: float
    """On 100 equal bins."""
    chi2_p: float | None
    """None where fewer than 5 values per bin are expected."""


class Pit:
    """Counts of the transform U = F(before the token) + V p(token), V uniform, token by token.

    The order of the cells is by q/p where there is a draft (a leak then pushes U towards 1), else as listed.

    Parameters
    ----------
    seed
        Key of the counter-based generator (Philox) that V comes from: equal tokens in equal order give
        equal counts, however they are cut into chunks.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.Philox(key=seed)
        self.counts: NDArray[np.int64] = np.zeros(_FINE, np.int64)

    def add(self, p: FloatArray, q: FloatArray | None, given: IntArray) -> FloatArray:
        """Count these tokens and return their U, shape (n,); p and q of shape (n, cells)."""
        # The raw stream is frozen across NumPy versions; Generator's floats are not.
        uniform = (self._random.random_raw(len(given)) >> np.uint64(11)) * 2.0**-53
        mass = np.take_along_axis(p, given[:, None], axis=1)[:, 0]
        if q is None:
            below = np.arange(p.shape[1])[None, :] < given[:, None]
        else:
            ratio = cell_ratios(p, q)
            own = np.take_along_axis(ratio, given[:, None], axis=1)
            tied = (ratio == own) & (np.arange(p.shape[1])[None, :] < given[:, None])
            below = (ratio < own) | tied
        u = (p * below).sum(axis=1) + uniform * mass
        index = np.minimum((u * _FINE).astype(np.int64), _FINE - 1)
        self.counts += np.bincount(index, minlength=_FINE)
        return np.asarray(u)


def uniformity(counts: NDArray[np.int64]) -> Uniformity:
    """Kolmogorov-Smirnov and chi-squared tests from counts on equal bins of [0, 1).

    Parameters
    ----------
    counts
        Shape (bins,), bins a multiple of 100.

    Raises
    ------
    TaisError
        Where nothing was counted.

    Notes
    -----
    The distance is read at the edges of the bins, so its p-value is slightly conservative.

    References
    ----------
    Stephens (1970), Journal of the Royal Statistical Society B 32, 115-122 (p-value at finite n).
    """
    from scipy.special import chdtrc, kolmogorov

    n = int(counts.sum())
    if n == 0:
        raise TaisError("no token was counted: a uniformity test needs at least one")
    edges = np.arange(1, len(counts)) / len(counts)
    ks = float(np.abs(np.cumsum(counts)[:-1] / n - edges).max())
    root = math.sqrt(n)
    coarse = counts.reshape(_COARSE, -1).sum(axis=1)
    expected = n / _COARSE
    chi2 = float(((coarse - expected) ** 2).sum() / expected)
    return Uniformity(
        n,
        ks,
        float(kolmogorov(ks * (root + 0.12 + 0.11 / root))),
        chi2,
        float(chdtrc(_COARSE - 1, chi2)) if expected >= 5 else None,
    )
