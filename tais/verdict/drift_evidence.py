"""What a complete audit says of all misses together: those of the candidate, and of every honest control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.stats.drift import MissRate

__all__ = ["BatchShape", "DriftEvidence", "HonestControl"]


@dataclass(frozen=True, slots=True)
class BatchShape:
    """In what shape a stack computes its tokens."""

    rows: int = 1
    """Tokens of one answer in a forward pass: drafted tokens and one more."""
    answers: int | None = None
    """Answers in a forward pass at most; None where the engine does not say."""

    def covers(self, other: BatchShape) -> bool:
        """Whether the noise of this shape is that of the other one: as many rows by answer, or in all."""
        if self.rows == other.rows:
            return True
        return self.answers is not None and self._all == other._all

    @property
    def _all(self) -> int | None:
        return None if self.answers is None else self.rows * self.answers


@dataclass(frozen=True, slots=True)
class HonestControl:
    """All answers of an arm that is the reference's stack, in a shape of its own: the reference or an A/A."""

    arm: str
    misses: MissRate
    shape: BatchShape


@dataclass(frozen=True, slots=True)
class DriftEvidence:
    """Misses of a complete audit by item: arrays of shape (items,), aligned; see :mod:`tais.stats.drift`."""

    dtype: str
    """Of the reference stack."""
    candidate_dtype: str
    reference_misses: NDArray[np.int64]
    candidate_misses: NDArray[np.int64]
    reference_margins: NDArray[np.float64]
    candidate_margins: NDArray[np.float64]
    """Sums over the tokens of an item's answers, each margin clipped at the band."""
    candidate: MissRate
    shape: BatchShape
    """Of the candidate."""
    controls: tuple[HonestControl, ...]
    """The reference first."""

    @property
    def worst(self) -> HonestControl:
        """The control that misses most often."""
        return max(self.controls, key=lambda control: control.misses.rate)
