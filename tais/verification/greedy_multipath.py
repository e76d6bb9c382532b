"""Greedy multi-path block verification: pick one of K paths, then block-verify it against its own law.

References
----------
arXiv 2602.16961 (GBV). Not better everywhere: with p = q it refuses tokens that block verification
accepts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from tais.verification.arithmetic import ratio
from tais.verification.block import verify_path
from tais.verification.draft import Draft
from tais.verification.rng import Rng

__all__ = ["picked", "verify"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Verify the path that is last in the lexicographic order of tokens by p/q.

    The tree must be made of paths. Below the trunk of a delayed tree all is as at the root of a plain one;
    in the trunk nothing was picked, and the law is the draft's.
    """
    nodes, weights, law = picked(draft)
    tokens = [draft.tokens[node] for node in nodes[1:]]
    return verify_path(tokens, weights, lambda i: draft.p[nodes[i]], law, rng)


def picked(draft: Draft) -> tuple[list[int], list[float], Callable[[int], torch.Tensor]]:
    """Return the nodes of the picked path, the root first, their weights and the law of each next token."""
    nodes = _pick(draft)
    tokens = [draft.tokens[node] for node in nodes[1:]]
    paths = len(draft.tree.paths)
    weights, shares, share = [1.0], [1.0] * len(nodes), 1.0
    for i, (node, token) in enumerate(zip(nodes, tokens, strict=False)):
        shares[i] = share
        p, q = draft.p[node], draft.q[node]
        if i < draft.tree.trunk:
            weights.append(ratio(p, q, token, weights[-1]))
            continue
        below = q[_order_before(p, q, token)].sum()
        chance, handed = _picked_law(q[token], below, share, paths)
        weights.append(ratio(p[token : token + 1], chance.reshape(1), 0, weights[-1]))
        share = float(handed)

    def law(i: int) -> torch.Tensor:
        if i < draft.tree.trunk:
            return draft.q[nodes[i]]
        return _picked_row(draft.p[nodes[i]], draft.q[nodes[i]], shares[i], paths)

    return nodes, weights, _once(law)


def _pick(draft: Draft) -> list[int]:
    """Return the nodes of the greatest path, the root first."""
    left = draft.tree.paths
    nodes = [0]
    for i in range(len(left[0])):
        node = nodes[-1]
        candidates = list(dict.fromkeys(path[i] for path in left))
        best = candidates[0]
        for other in candidates[1:]:
            if _before(draft.p[node], draft.q[node], draft.tokens[best], draft.tokens[other]):
                best = other
        left = [path for path in left if path[i] == best]
        nodes.append(best)
    return nodes


def _before(p: torch.Tensor, q: torch.Tensor, first: int, second: int) -> bool:
    """Whether one drafted token comes before another: by p/q, ties by token id."""
    a, b = float(p[first] / q[first]), float(p[second] / q[second])
    return (a, first) < (b, second)


def _order_before(p: torch.Tensor, q: torch.Tensor, token: int) -> torch.Tensor:
    """Return a mask of the tokens that come before `token`: the same order as :func:`_before`."""
    ratios = p / q
    before = ratios < ratios[token]
    before[:token] |= ratios[:token] == ratios[token]
    return before & (q > 0)


def _picked_row(p: torch.Tensor, q: torch.Tensor, share: float, paths: int) -> torch.Tensor:
    """Return the law of the picked path's next token, shape (V,)."""
    # Tokens that the draft cannot draw weigh nothing, wherever the order puts them.
    order = torch.sort(torch.where(q > 0, p / q, 0.0), stable=True).indices
    sorted_q = q[order]
    below = torch.cumsum(sorted_q, 0) - sorted_q
    row = torch.empty_like(q)
    row[order] = _picked_law(sorted_q, below, share, paths)[0]
    return row


def _picked_law(
    q: torch.Tensor, below: torch.Tensor, share: float, paths: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the picked path's law of some tokens, and the share that each would hand to its children.

    Parameters
    ----------
    q, below
        The draft's law of the tokens, and of all tokens that come before each; one shape.
    share
        Mass of paths through this node over the mass of paths up to its last one, in (0, 1].
    paths
        K.

    Notes
    -----
    The greatest of K draws lies in a block [lo, hi) of the order with probability hi^K - lo^K. Written
    with expm1 and log1p, as the difference of two powers loses all digits in blocks of small mass.
    """
    low = (1 - share) + share * below
    high = low + share * q
    part = torch.where(q > 0, share * q / high, torch.zeros_like(q)).clamp_(max=1)
    grown = high.pow(paths) * -torch.expm1(paths * torch.log1p(-part))
    whole = -math.expm1(paths * math.log1p(-share)) if share < 1 else 1.0
    return grown / whole, part


def _once(law: Callable[[int], torch.Tensor]) -> Callable[[int], torch.Tensor]:
    """Keep the last row asked for: acceptance and residual of a level read the same one."""
    kept: dict[int, torch.Tensor] = {}

    def row(i: int) -> torch.Tensor:
        if i not in kept:
            kept.clear()
            kept[i] = law(i)
        return kept[i]

    return row
