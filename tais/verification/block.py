"""Block verification: one path, judged as a whole. No lossless rule accepts more of a single path.

References
----------
Sun et al. (2025), Block Verification Accelerates Speculative Decoding, arXiv 2403.10444.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from tais.verification.arithmetic import excess_mass, ratio, sample_excess
from tais.verification.draft import Draft
from tais.verification.rng import Rng

__all__ = ["first_path", "verify", "verify_path"]


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Accept the longest prefix of the first path whose own flip succeeds."""
    nodes, weights, law = first_path(draft)
    tokens = [draft.tokens[node] for node in nodes[1:]]
    return verify_path(tokens, weights, lambda i: draft.p[nodes[i]], law, rng)


def first_path(draft: Draft) -> tuple[list[int], list[float], Callable[[int], torch.Tensor]]:
    """Return the nodes of the first path, the root first, their weights and the law of each next token."""
    nodes, node = [0], 0
    while draws := draft.draws(node):
        node = draws[0]
        nodes.append(node)
    weights = [1.0]
    for node, child in pairwise(nodes):
        weights.append(ratio(draft.p[node], draft.q[node], draft.tokens[child], weights[-1]))
    return nodes, weights, lambda i: draft.q[nodes[i]]


def verify_path(
    tokens: Sequence[int],
    weights: Sequence[float],
    p: Callable[[int], torch.Tensor],
    q: Callable[[int], torch.Tensor],
    rng: Rng,
) -> list[int]:
    """Verify one path of L tokens that were drawn from the chain `q`.

    Parameters
    ----------
    tokens
        The path.
    weights
        w_0 = 1 and w_i = min(1, w_(i-1) p/q) of the tokens, length L + 1.
    p, q
        Law of target and draft after i tokens, shape (V,); `q` is not asked for i = L.
    rng
        Takes the decisions.

    Notes
    -----
    With A_i the sum of max(0, w_i p - q), level i succeeds with probability A_i / (A_i + 1 - w_i), and
    level L with w_L; the last success counts. The levels are independent, so scanning from the end and
    stopping at the first success is the same rule and asks for no row that is not needed. A level with
    w_i = 1 always succeeds; below, the success is at most w_i, since A_i is, so a flip of w_i alone refuses
    most levels without a look at their laws. Stopping at the first failure instead is a lossy rule
    (vllm-ascend #7807 and its review show how near that lies).
    """
    last = len(tokens)
    if rng.flip(weights[last]):
        return [*tokens, rng.categorical(p(last))]
    for i in range(last - 1, 0, -1):
        if _succeeds(p, q, i, weights[i], rng):
            return [*tokens[:i], sample_excess(p(i), q(i), rng, weights[i])]
    return [sample_excess(p(0), q(0), rng)]


def _succeeds(
    p: Callable[[int], torch.Tensor], q: Callable[[int], torch.Tensor], i: int, weight: float, rng: Rng
) -> bool:
    if weight >= 1:
        return True
    if not rng.flip(weight):
        return False
    mass = excess_mass(p(i), q(i), weight)
    return rng.flip(min(1.0, mass / (mass + 1 - weight) / weight))
