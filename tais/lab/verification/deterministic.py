"""Drafts that are chosen, not drawn (EAGLE's and Medusa's likeliest tokens): the proposal is a point mass.

Testing such children with min(1, p/q), q the draft's softmax, is lossy: they were not drawn from q.

References
----------
Li et al. (2024), EAGLE, arXiv 2401.15077; Cai et al. (2024), Medusa, arXiv 2401.10774.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["rule", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept each child with what p is left for it; a refused child leaves p."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Test every distinct child with what is left for it."""
    left = p
    for token in dict.fromkeys(tokens):
        mass = float(left.sum())
        if rng.flip(min(1.0, float(left[token]) / mass)):
            return token
        left = left.clone()
        left[token] = 0
    return rng.categorical(left if float(left.sum()) > 0 else p)
