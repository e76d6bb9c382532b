"""Do two arms accept drafts at the same rate? A paired test over the items that both answered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tais.rundir.samples import read_batches

__all__ = ["ALPHA", "Drafted", "acceptance_p", "paired", "read_drafted"]

ALPHA = 0.001
"""Level of the test, two-sided: a drill asks it of every arm."""
_FEWEST = 10
_COLUMNS = ("battery", "item_id", "repeat", "step_drafted", "step_accepted")
Drafted = dict[tuple[str, str, int], tuple[int, int]]
"""Drafted and accepted tokens by sample."""


def read_drafted(arm_dir: Path) -> Drafted:
    """Return what an arm drafted and accepted, per sample; nothing of samples that do not tell."""
    found: Drafted = {}
    for batch in read_batches(arm_dir, _COLUMNS):
        for row in batch.to_pylist():
            if row["step_drafted"] is not None:
                key = (row["battery"], row["item_id"], row["repeat"])
                found[key] = sum(row["step_drafted"]), sum(row["step_accepted"])
    return found


@dataclass(frozen=True, slots=True)
class Paired:
    """Drafted and accepted tokens of two arms, by sample. All arrays have shape (n,)."""

    drafted: NDArray[np.float64]
    accepted: NDArray[np.float64]
    twin_drafted: NDArray[np.float64]
    twin_accepted: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.drafted)

    def part(self, rows: NDArray[np.int64]) -> Paired:
        """Return some samples."""
        return Paired(
            self.drafted[rows], self.accepted[rows], self.twin_drafted[rows], self.twin_accepted[rows]
        )


def paired(own: Drafted, twin: Drafted) -> Paired:
    """Return the samples that both arms have, sorted by key."""
    keys = sorted(own.keys() & twin.keys())
    columns = np.array([(*own[key], *twin[key]) for key in keys], dtype=np.float64).reshape(-1, 4)
    return Paired(*columns.T)


def acceptance_p(pairs: Paired) -> float:
    """Test that two arms accept the same share of their drafts.

    Parameters
    ----------
    pairs
        Drafted and accepted tokens.

    Returns
    -------
    float
        Two-sided p; 1 where the rates are the same, or where there is too little to say (below 10 samples).

    Notes
    -----
    Each rate is a ratio of sums over answers, whose steps depend on each other; the variance is that of the
    linearised ratios, paired by item (Cochran 1977, Sampling Techniques, 6.4), with Student's t. It
    leans on many answers: with few, or where one answer has most of the drafts, p is too small.
    """
    # Loads scipy.
    from scipy import stats

    n = len(pairs)
    if n < _FEWEST or not pairs.drafted.sum() or not pairs.twin_drafted.sum():
        return 1.0
    own, twin = (
        (accepted.sum() / drafted.sum(), accepted, drafted)
        for accepted, drafted in (
            (pairs.accepted, pairs.drafted),
            (pairs.twin_accepted, pairs.twin_drafted),
        )
    )
    influence = [(a - rate * d) / d.mean() for rate, a, d in (own, twin)]
    error = float(np.std(influence[0] - influence[1], ddof=1)) / np.sqrt(n)
    difference = abs(float(own[0] - twin[0]))
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(difference / error, n - 1))
