"""Pieces that several algorithms share."""

from __future__ import annotations

import torch

from tais.lab.verification.rng import Rng

__all__ = ["excess", "excess_mass", "ratio", "sample_excess"]


def ratio(p: torch.Tensor, q: torch.Tensor, token: int, scale: float = 1.0) -> float:
    """Return min(1, scale p(token) / q(token)) for a token drawn from `q`.

    A drafted token has q > 0; where rounding made it 0, the limit is returned.
    """
    above, below = scale * float(p[token]), float(q[token])
    if above >= below:
        return 1.0 if above > 0 else 0.0
    return above / below


def excess(p: torch.Tensor, q: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Return max(0, scale p - q) elementwise, shape (V,)."""
    return torch.add(q, p, alpha=-scale).clamp_(max=0).neg_()


def excess_mass(p: torch.Tensor, q: torch.Tensor, scale: float = 1.0) -> float:
    """Return the sum of :func:`excess`, in one pass over the vocabulary less."""
    return -float(torch.add(q, p, alpha=-scale).clamp_(max=0).sum())


def sample_excess(p: torch.Tensor, q: torch.Tensor, rng: Rng, scale: float = 1.0) -> int:
    """Draw from max(0, scale p - q), normalised; from `p` where nothing exceeds.

    The latter is met by rounding only: with p = q the draft's token is never refused.
    """
    left = excess(p, q, scale)
    return rng.categorical(left if float(left.sum()) > 0 else p)
