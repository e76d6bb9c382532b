"""Naive sampling from the target: draw its token and see whether it was drafted.

Needs no law of the draft, so it is lossless for any draft, however its tokens were chosen.

References
----------
Miao et al. (2023), SpecInfer, arXiv 2305.09781, where it is the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["rule", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept with probability sum p (1 - (1 - q)^k) per level of k draws."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Return a token of the target; whether it was drafted does not matter."""
    return rng.categorical(p)
