"""Greedy multi-path block verification: pick one of K paths, then block-verify it against its own law.

Any strict order of the tokens at a node keeps the law, as long as the pick and the law of what is picked
use the same one. Here p/q counts to six significant bits and ties go by token id: sixteen bits per token
sort in two linear passes, which is what this algorithm spends most of its time on.

References
----------
arXiv 2602.16961 (GBV). Not better everywhere: with p = q it refuses tokens that block verification
accepts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from tais.lab.verification.arithmetic import ratio
from tais.lab.verification.block import Near, verify_path
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["handed_share", "pick_path", "picked", "picked_law", "verify"]

# Of the 64 bits of a float, what a rank leaves away: all but the exponent and five bits behind it.
_DROPPED = 47
# A share of all paths so small that being picked changes the law of what follows by less than rounding.
_NOTHING = 1e-18


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Verify the path that is last in the lexicographic order of tokens by p/q.

    The tree must be made of paths. Below the trunk of a delayed tree all is as at the root of a plain one;
    in the trunk nothing was picked, and the law is the draft's.
    """
    nodes, weights, law, near = picked(draft)
    tokens = [draft.tokens[node] for node in nodes[1:]]
    return verify_path(tokens, weights, lambda i: draft.p[nodes[i]], law, rng, near)


def picked(draft: Draft) -> tuple[list[int], list[float], Callable[[int], torch.Tensor], Near]:
    """Return the nodes of the picked path, the root first, their weights, and the law of each next token.

    The law is that of a path which was picked; behind it stands what brackets it, as ``block.Near``. A row
    of it holds until the next one is asked for.
    """
    nodes = pick_path(draft)
    tokens = [draft.tokens[node] for node in nodes[1:]]
    paths = len(draft.tree.paths)
    weights, shares, share = [1.0], [1.0] * len(nodes), 1.0
    room = torch.empty_like(draft.p[0]), torch.empty_like(draft.p[0])
    for i, (node, token) in enumerate(zip(nodes, tokens, strict=False)):
        shares[i] = 0.0 if i < draft.tree.trunk or share * paths < _NOTHING else share
        p, q = draft.p[node], draft.q[node]
        if not shares[i]:
            weights.append(ratio(p, q, token, weights[-1]))
            continue
        below = _mass_before(p, q, token, *room)
        chance = picked_law(q[token], below.clone(), share, paths)
        weights.append(ratio(p[token].reshape(1), chance.reshape(1), 0, weights[-1]))
        share = handed_share(float(q[token]), float(below), share)

    def law(i: int) -> torch.Tensor:
        p, q = draft.p[nodes[i]], draft.q[nodes[i]]
        return _picked_row(p, q, shares[i], paths, room) if shares[i] else q

    def near(i: int) -> tuple[torch.Tensor, float, float]:
        return draft.q[nodes[i]], *_range(shares[i], paths)

    return nodes, weights, _once(law), near


def pick_path(draft: Draft) -> list[int]:
    """Return the nodes of the greatest path, the root first."""
    left = draft.tree.paths
    nodes = [0]
    for i in range(len(left[0])):
        p, q = draft.p[nodes[-1]], draft.q[nodes[-1]]
        candidates = dict.fromkeys(path[i] for path in left)
        best = max(candidates, key=lambda node: _place(p, q, draft.tokens[node]))
        left = [path for path in left if path[i] == best]
        nodes.append(best)
    return nodes


def _place(p: torch.Tensor, q: torch.Tensor, token: int) -> tuple[int, int]:
    """Return what drafted tokens are ordered by."""
    return int((p[token] / q[token]).view(torch.int64)) >> _DROPPED, token


def _mass_before(
    p: torch.Tensor, q: torch.Tensor, token: int, ratios: torch.Tensor, before: torch.Tensor
) -> torch.Tensor:
    """Return the draft's mass of the tokens that come before `token`: the order of :func:`_place`.

    `ratios` and `before` are room to work in. A token that the draft cannot draw weighs nothing, wherever
    it stands.
    """
    torch.div(p, q, out=ratios)
    rank = int(ratios[token].view(torch.int64)) >> _DROPPED
    least, above = (torch.tensor(r << _DROPPED).view(torch.float64) for r in (rank, rank + 1))
    torch.lt(ratios, least, out=before)
    torch.lt(ratios[:token], above, out=before[:token])
    return torch.dot(before, q)


def _picked_row(
    p: torch.Tensor, q: torch.Tensor, share: float, paths: int, room: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """Return the law of the picked path's next token, shape (V,); `room` is to work in, and is returned."""
    one, two = room
    ranks = torch.div(p, q, out=one).view(torch.int64).bitwise_right_shift_(_DROPPED).numpy()
    # Stable, so that ties go by token id; for sixteen bits numpy sorts by radix.
    order = torch.from_numpy(np.argsort(ranks.astype(np.uint16), kind="stable"))
    sorted_q = torch.index_select(q, 0, order, out=one)
    below = torch.cumsum(sorted_q, 0, out=two).sub_(sorted_q)
    return picked_law(q, one.scatter_(0, order, below), share, paths, two)


def picked_law(
    q: torch.Tensor, below: torch.Tensor, share: float, paths: int, room: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the picked path's law of some tokens. Writes over `below`.

    Parameters
    ----------
    q, below
        The draft's law of the tokens, and of all tokens that come before each; one shape.
    share
        Mass of paths through this node over the mass of paths up to its last one, in (0, 1].
    paths
        K.
    room
        To work in.

    Notes
    -----
    The greatest of K draws lies in a block [lo, hi) of the order with probability hi^K - lo^K, which is
    (hi - lo) (hi^(K-1) + hi^(K-2) lo + ... + lo^(K-1)). As hi - lo = share q is known, all terms are
    positive; the difference of two powers would lose all digits in blocks of small mass.
    """
    low = below.mul_(share).add_(1 - share)
    high = torch.add(low, q, alpha=share, out=room)
    whole = _whole(share, paths)
    return _terms(high, low, paths).div_(whole).mul_(q)


def _whole(share: float, paths: int) -> float:
    return sum((1 - share) ** k for k in range(paths))


def _range(share: float, paths: int) -> tuple[float, float]:
    """Return the least and the most that being picked multiplies the draft's law by.

    Both ends of a token's block lie between 1 - share and 1: where few paths pass, the law hardly changes.
    """
    whole = _whole(share, paths)
    return paths * (1 - share) ** (paths - 1) / whole, paths / whole


def _terms(high: torch.Tensor, low: torch.Tensor, count: int) -> torch.Tensor:
    """Return the sum of high^(K-1-j) low^j over j = 0 ... K-1 for K = `count`. Writes over what it is given.

    By doubling, S(2m) = S(m) (high^m + low^m), as long as there are factors of two; then Horner's scheme.
    """
    total = None
    while count % 2 == 0:
        last = count == 2
        both = torch.add(high, low, out=high if last else None)
        total, count = both if total is None else both.mul_(total), count // 2
        if not last:
            high.square_()
            low.square_()
    if count > 1:
        rest, power = high + low, low
        for _ in range(count - 2):
            power = power * low
            rest.mul_(high).add_(power)
        total = rest if total is None else rest.mul_(total)
    return torch.ones_like(high) if total is None else total


def handed_share(q: float, below: float, share: float) -> float:
    """Return the share that a token hands to its children; rounding can take the last block beyond 1."""
    return min(1.0, share * q / (1 - share + share * below + share * q))


def _once(law: Callable[[int], torch.Tensor]) -> Callable[[int], torch.Tensor]:
    """Keep the last row asked for: acceptance and residual of a level read the same one."""
    kept: dict[int, torch.Tensor] = {}

    def row(i: int) -> torch.Tensor:
        if i not in kept:
            kept.clear()
            kept[i] = law(i)
        return kept[i]

    return row
