"""Accept whatever was drafted, lossy: the output is the draft's. A positive control."""

from __future__ import annotations

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept the first path whole, then draw from the target."""
    node, out = 0, []
    while draws := draft.draws(node):
        node = draws[0]
        out.append(draft.tokens[node])
    return [*out, rng.categorical(draft.p[node])]
