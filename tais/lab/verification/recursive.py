"""Recursive rejection sampling without replacement: a refused token leaves both laws.

Distinct tokens in order of first appearance among independent draws are draws without replacement, so
duplicates need no care.

References
----------
Jeon et al. (2024), Recursive Speculative Decoding, arXiv 2402.14160; Chen et al. (2024), Sequoia,
arXiv 2402.12374.
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
    """Test each distinct child with min(1, p/q); a refusal leaves p its excess and q without the child."""
    return walk(draft, rng, rule)


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
    """Test every distinct child; see :func:`verify`."""
    for token in dict.fromkeys(tokens):
        if rng.flip(ratio(p, q, token)):
            return token
        left = excess(p, q)
        mass = float(left.sum())
        if mass <= 0:  # p = q up to rounding
            break
        p = left / mass
        q = q.clone()
        q[token] = 0
        rest = float(q.sum())
        if rest <= 0:  # every token of the draft was refused
            break
        q = q / rest
    return rng.categorical(p)
