"""From the root down: a rule for the children of one node, applied node by node.

A rule returns a token whose law is the target's, over the children's draws and its own decisions; when
that token is among the children, the walk goes on there. Children of different nodes are independent
given the node, so the chain rule makes the whole output the target's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["Rule", "walk"]

Rule = Callable[[torch.Tensor, torch.Tensor, Sequence[int], Rng], int]
"""Law of the target, law of the draft, children's tokens in draft order with multiplicity, decisions."""


def walk(draft: Draft, rng: Rng, rule: Rule) -> list[int]:
    """Apply `rule` from the root until its token was not drafted, or a leaf is reached."""
    node, out = 0, []
    while draws := draft.draws(node):
        token = rule(draft.p[node], draft.q[node], [draft.tokens[child] for child in draws], rng)
        out.append(token)
        child = draft.child(node, token)
        if child is None:
            return out
        node = child
    return [*out, rng.categorical(draft.p[node])]
