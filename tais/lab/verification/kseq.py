"""SpecTr's K-SEQ: all draws are tested against one discount.

References
----------
Sun et al. (2023), SpecTr, arXiv 2310.15141: accepts at least 1 - 1/e of what is possible at one level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["discount", "rule", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept each draw with min(1, p / (rho q)), rho the smallest valid discount for their number."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Test every draw against the discount for their number."""
    rho = discount(p, q, len(tokens))
    for token in tokens:
        above, below = float(p[token]), rho * float(q[token])
        if rng.flip(1.0 if above >= below > 0 else above / below if below > 0 else 0.0):
            return token
    common = torch.div(p, rho)
    torch.minimum(common, q, out=common)
    beta = float(common.sum())
    if beta <= 0:
        return rng.categorical(p)
    left = torch.sub(p, common, alpha=_accepted(beta, len(tokens)) / beta, out=common).clamp_(min=0)
    return rng.categorical(left if float(left.sum()) > 0 else p)


def discount(p: torch.Tensor, q: torch.Tensor, draws: int) -> float:
    """Return the smallest rho in [1, draws] with 1 - (1 - beta)^draws <= rho beta, beta = sum min(p/rho, q).

    Notes
    -----
    Any larger rho is valid and accepts less; a smaller one leaves a negative residual, so the root is
    rounded up.
    """
    room = torch.empty_like(p)

    def slack(rho: float) -> float:
        # Asked for some ten times: in place, and without a division.
        torch.minimum(torch.mul(q, rho, out=room), p, out=room)
        beta = float(room.sum()) / rho
        return rho * beta - _accepted(beta, draws)

    low, high = 1.0, float(draws)
    if draws == 1 or slack(low) >= 0:
        return low
    # Loads scipy.
    from scipy.optimize import brentq

    root = float(brentq(slack, low, high, xtol=1e-13, rtol=1e-13)) if slack(high) > 0 else high
    step = 1e-13
    while slack(root) < 0 and root < high:
        root, step = min(high, root * (1 + step)), 4 * step
    return root


def _accepted(beta: float, draws: int) -> float:
    """Return 1 - (1 - beta)^draws."""
    return float(1 - (1 - min(beta, 1.0)) ** draws)
