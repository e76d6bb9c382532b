"""The two random decisions that a verifier may take.

Verifiers see no other source of chance, so that the same code runs on a generator in an engine and under
:mod:`tais.lab.verification.replay`, which walks every decision.
"""

from __future__ import annotations

from typing import Protocol

import torch

__all__ = ["Rng", "SeededRng"]


class Rng(Protocol):
    """A source of random decisions."""

    def flip(self, prob: float) -> bool:
        """Return True with probability `prob`, which lies in [0, 1]."""
        ...

    def categorical(self, weights: torch.Tensor) -> int:
        """Return an index with probability proportional to `weights`, shape (V,), none negative."""
        ...


class SeededRng:
    """Decisions from torch's generator on the CPU.

    Parameters
    ----------
    seed
        The same seed gives the same decisions.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def flip(self, prob: float) -> bool:
        """Return True with probability `prob`."""
        return self._uniform() < prob

    def categorical(self, weights: torch.Tensor) -> int:
        """Return an index by inversion of the cumulative weights, in float64."""
        bounds = torch.cumsum(weights, 0, dtype=torch.float64)
        point = self._uniform() * float(bounds[-1])
        index = int(torch.searchsorted(bounds, point, right=True))
        # The product can round up to the last bound, behind which no index lies.
        return index if index < len(weights) else int(torch.nonzero(weights)[-1])

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))
