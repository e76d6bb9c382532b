"""SpecInfer's multi-step sampling: the children are tested in turn, drawn with replacement.

References
----------
Miao et al. (2023), SpecInfer, arXiv 2305.09781.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.arithmetic import excess, ratio
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["rule", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Test every draw with min(1, p/q), where each refusal leaves p the excess over the same q."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Test every draw; see :func:`verify`."""
    # The paper tests them in a random order. The draws are exchangeable, so draft order is as good.
    for token in tokens:
        if rng.flip(ratio(p, q, token)):
            return token
        left = excess(p, q)
        mass = float(left.sum())
        if mass <= 0:  # p = q up to rounding
            break
        p = left / mass
    return rng.categorical(p)
