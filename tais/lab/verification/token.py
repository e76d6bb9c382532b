"""Token verification, the first of its kind: one path, token by token.

References
----------
Leviathan et al. (2023), arXiv 2211.17192; Chen et al. (2023), arXiv 2302.01318.
"""

from __future__ import annotations

from tais.lab.verification.arithmetic import ratio, sample_excess
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept each token with probability min(1, p/q) until one is refused.

    Expected accepted tokens: the sum over prefixes of the product of min(p, q). Looks at the first path
    only.
    """
    node = 0
    out: list[int] = []
    while draws := draft.draws(node):
        p, q, token = draft.p[node], draft.q[node], draft.tokens[draws[0]]
        if not rng.flip(ratio(p, q, token)):
            return [*out, sample_excess(p, q, rng)]
        out.append(token)
        node = draws[0]
    return [*out, rng.categorical(draft.p[node])]
