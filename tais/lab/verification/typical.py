"""Typical acceptance, lossy: a token passes when the target finds it likely enough.

The output leans to the draft: where every token passes it has the draft's law.

References
----------
Cai et al. (2024), Medusa, arXiv 2401.10774: threshold min(epsilon, delta exp(-H(p))), 0.09 and 0.3 in
its code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["threshold_between", "verify"]

EPSILON = 0.09
DELTA = 0.3
# What one more in the exponent adds to the bits of a float32.
_ONE_BIT = 1 << 23
# Rounding of a sum of float32 numbers of that size, in bits.
_NEAR = 0.01


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept the longest path of typical tokens, the first drafted on ties; then draw from the target."""
    below = [0] * len(draft.tokens)
    for node in reversed(range(1, len(below))):
        above = draft.tree.parent[node]
        below[above] = max(below[above], below[node] + 1)
    node, out = 0, []
    for child in _longest(draft, 0, below, 0):
        out.append(draft.tokens[child])
        node = child
    return [*out, rng.categorical(draft.p[node])]


def _longest(draft: Draft, node: int, below: Sequence[int], known: int) -> list[int]:
    """Return the longest path of typical tokens below a node, or any path where none is longer than `known`.

    `below` is how far each node's own descendants reach: what cannot become longer is not looked at.
    """
    if below[node] <= known:
        return []
    children = draft.children(node)
    p = draft.p[node]
    chances = [float(p[draft.tokens[child]]) for child in children]
    # The threshold is never above epsilon, so a likelier token needs no entropy.
    unsure = [chance for chance in chances if 0 < chance <= EPSILON]
    limit = threshold_between(p, unsure) if unsure else EPSILON
    best: list[int] = []
    for child, chance in zip(children, chances, strict=True):
        if chance > limit:
            path = [child, *_longest(draft, child, below, max(len(best), known) - 1)]
            best = path if len(path) > len(best) else best
    return best


def threshold_between(p: torch.Tensor, chances: Sequence[float]) -> float:
    """Return a number that the same `chances` exceed as :func:`threshold`.

    Read as a whole number, the bits of a float32 are its logarithm to base 2 within 0.0861 but for scale and
    offset: bounds of the entropy at a fraction of its price. Where a chance lies between the thresholds that
    they allow, or next to them, the entropy is taken in full.
    """
    rough = p.float()
    least = float(torch.dot(rough, rough.view(torch.int32).sub(127 * _ONE_BIT).float())) / _ONE_BIT
    low, high = (min(EPSILON, DELTA * 2 ** (least + error)) for error in (-_NEAR, 0.0861 + _NEAR))
    return threshold(p) if any(low <= chance <= high for chance in chances) else low


def threshold(p: torch.Tensor, epsilon: float = EPSILON, delta: float = DELTA) -> float:
    """Return the probability above which a token is typical; entropy in nats."""
    return min(epsilon, delta * math.exp(float(torch.xlogy(p, p).sum())))
