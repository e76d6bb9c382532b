"""Traversal verification: from the leaves to the root, whole sequences at once.

References
----------
Weng et al. (2025), Traversal Verification for Speculative Tree Decoding, arXiv 2505.12398; written here
as a recursion, which has the law of the paper's deletion of leaves.
"""

from __future__ import annotations

from tais.lab.verification.arithmetic import excess, ratio
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Visit the tree in post-order; on a single path this is block verification."""
    return _visit(draft, 0, 1.0, rng) or [rng.categorical(draft.p[0])]


def _visit(draft: Draft, node: int, weight: float, rng: Rng) -> list[int] | None:
    """Return the tokens below `node` that are accepted, or None: something is, with probability `weight`.

    Distinct children in order of first appearance; any other order breaks the law. A refused child leaves
    its node the excess of weight p over q, whose mass says how likely the node itself still is.
    """
    if weight <= 0:
        return None
    p, q = draft.p[node], draft.q[node]
    children = draft.children(node)
    for i, child in enumerate(children):
        token = draft.tokens[child]
        found = _visit(draft, child, ratio(p, q, token, weight), rng)
        if found is not None:
            return [token, *found]
        left = excess(p, q, weight)
        mass = float(left.sum())
        if mass <= 0:
            weight = 1.0 if node == 0 else 0.0
            break
        weight = mass / (mass + (1 - weight))
        p = left.div_(mass)
        if i + 1 < len(children):
            rest = 1 - float(q[token])
            q = q.clone()
            q[token] = 0
            if rest > 0:
                q /= float(q.sum()) or 1.0
    return [rng.categorical(p)] if node == 0 or rng.flip(weight) else None
