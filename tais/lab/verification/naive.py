"""Token verification in a tree: only the first child of a node is tested.

The token drawn after a refusal may still be another child, and the walk goes on there.

References
----------
Leviathan et al. (2023), arXiv 2211.17192, for the test; as a tree baseline in arXiv 2602.16961.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.arithmetic import ratio, sample_excess
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["rule", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept with probability sum min(p, q) + sum max(0, p - q) (1 - (1 - q)^(k-1)) per level of k draws."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Test the first token; after a refusal draw from the normalised excess of `p` over `q`."""
    return tokens[0] if rng.flip(ratio(p, q, tokens[0])) else sample_excess(p, q, rng)
