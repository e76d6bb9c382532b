"""Block verification: one path, judged as a whole. No lossless rule accepts more of a single path.

References
----------
Sun et al. (2025), Block Verification Accelerates Speculative Decoding, arXiv 2403.10444.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from tais.lab.verification.arithmetic import excess_mass, ratio, sample_excess
from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["Near", "first_path", "verify", "verify_path"]

Near = Callable[[int], tuple[torch.Tensor, float, float]]


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
    near: Near | None = None,
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
    near
        Where rows of `q` are dear: a cheaper law and two factors, after i tokens, with low law <= q <= high
        law elementwise. They decide most levels.

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
        if _succeeds(p, q, i, weights[i], rng, near):
            return [*tokens[:i], sample_excess(p(i), q(i), rng, weights[i])]
    return [sample_excess(p(0), q(0), rng)]


def _succeeds(
    p: Callable[[int], torch.Tensor],
    q: Callable[[int], torch.Tensor],
    i: int,
    weight: float,
    rng: Rng,
    near: Near | None,
) -> bool:
    if weight >= 1:
        return True
    if not rng.flip(weight):
        return False
    least, most = 0.0, weight
    if near is not None:
        law, low, high = near(i)
        most = min(weight, _success(p(i), law, low, weight))
        if not rng.flip(most / weight):
            return False
        least = _success(p(i), law, high, weight) if high > low else most
        if rng.flip(min(1.0, least / most)):
            return True
    # Here the level succeeds if a number that is uniform between the bounds lies below its success.
    success = _success(p(i), q(i), 1.0, weight)
    return rng.flip(min(1.0, max(0.0, (success - least) / (most - least))))


def _success(p: torch.Tensor, law: torch.Tensor, factor: float, weight: float) -> float:
    """Return a level's success where the law is `factor` times `law`; it falls with the factor."""
    mass = factor * excess_mass(p, law, weight / factor) if factor > 0 else weight
    return mass / (mass + 1 - weight)
