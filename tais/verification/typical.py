"""Typical acceptance, lossy: a token passes when the target finds it likely enough.

The output leans to the draft: where every token passes it has the draft's law.

References
----------
Cai et al. (2024), Medusa, arXiv 2401.10774: threshold min(epsilon, delta exp(-H(p))), 0.09 and 0.3 in
its code.
"""

from __future__ import annotations

import torch

from tais.verification.draft import Draft
from tais.verification.rng import Rng

__all__ = ["verify"]

EPSILON = 0.09
DELTA = 0.3


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept the longest path of typical tokens, the first drafted on ties; then draw from the target."""
    node, out = 0, []
    for child in _longest(draft, 0):
        out.append(draft.tokens[child])
        node = child
    return [*out, rng.categorical(draft.p[node])]


def _longest(draft: Draft, node: int) -> list[int]:
    children = draft.children(node)
    if not children:
        return []
    p = draft.p[node]
    chances = [float(p[draft.tokens[child]]) for child in children]
    # The threshold is never above epsilon, so a likelier token needs no entropy.
    limit = threshold(p) if min(chances) <= EPSILON else EPSILON
    best: list[int] = []
    for child, chance in zip(children, chances, strict=True):
        if chance > limit:
            path = [child, *_longest(draft, child)]
            best = path if len(path) > len(best) else best
    return best


def threshold(p: torch.Tensor, epsilon: float = EPSILON, delta: float = DELTA) -> float:
    """Return the probability above which a token is typical; entropy in nats."""
    entropy = -float(torch.xlogy(p, p).sum())
    return min(epsilon, delta * float(torch.exp(torch.tensor(-entropy))))
