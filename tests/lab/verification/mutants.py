"""Verifiers with one mistake each. The first eight kinds were shipped or published somewhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

from tais.lab.verification import greedy_multipath, kseq, specinfer
from tais.lab.verification.arithmetic import excess, ratio, sample_excess
from tais.lab.verification.draft import Draft, Tree, Verifier
from tais.lab.verification.naive import rule as test_one
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk


def chain(draft: Draft) -> tuple[list[int], list[int]]:
    """Nodes of the first path, the root included, and their tokens."""
    nodes = [0]
    while draws := draft.draws(nodes[-1]):
        nodes.append(draws[0])
    return nodes, [draft.tokens[node] for node in nodes[1:]]


def block(
    draft: Draft,
    rng: Rng,
    *,
    stop: bool = False,
    residual_weight: bool = True,
    last_is_special: bool = True,
    cap: bool = True,
) -> list[int]:
    """Block verification, forward, with switches for its mistakes."""
    nodes, tokens = chain(draft)
    weight, kept, at = 1.0, 1.0, 0
    for i, token in enumerate(tokens, start=1):
        p, q = draft.p[nodes[i - 1]], draft.q[nodes[i - 1]]
        weight = ratio(p, q, token, weight) if cap else weight * float(p[token] / q[token])
        bounded = min(1.0, weight)
        success = bounded
        if i < len(tokens) or not last_is_special:
            below = draft.q[nodes[i]] if i < len(tokens) else draft.p[nodes[i]]
            mass = float(excess(draft.p[nodes[i]], below, bounded).sum())
            success = mass / (mass + 1 - bounded) if mass + 1 - bounded > 0 else 1.0
        if rng.flip(success):
            at, kept = i, bounded
        elif stop:
            break
    if at == len(tokens):
        return [*tokens, rng.categorical(draft.p[nodes[at]])]
    scale = kept if residual_weight else 1.0
    return [*tokens[:at], sample_excess(draft.p[nodes[at]], draft.q[nodes[at]], rng, scale)]


def block_stops_at_the_first_refusal(draft: Draft, rng: Rng) -> list[int]:
    return block(draft, rng, stop=True)


def block_with_the_residual_of_token_verification(draft: Draft, rng: Rng) -> list[int]:
    return block(draft, rng, residual_weight=False)


def block_treats_the_last_level_like_the_others(draft: Draft, rng: Rng) -> list[int]:
    return block(draft, rng, last_is_special=False)


def block_without_the_cap_on_its_weight(draft: Draft, rng: Rng) -> list[int]:
    return block(draft, rng, cap=False)


def block_with_the_test_of_token_verification(draft: Draft, rng: Rng) -> list[int]:
    """As in vllm-ascend #7807: min(1, p/q) per level, each level on its own, and the last success counts."""
    nodes, tokens = chain(draft)
    at = 0
    for i, token in enumerate(tokens, start=1):
        if rng.flip(ratio(draft.p[nodes[i - 1]], draft.q[nodes[i - 1]], token)):
            at = i
    node = nodes[at]
    last = at == len(tokens)
    extra = rng.categorical(draft.p[node]) if last else sample_excess(draft.p[node], draft.q[node], rng)
    return [*tokens[:at], extra]


def reordered(draft: Draft, key: Callable[[Draft, int, int], float]) -> Draft:
    tree = draft.tree
    draws = [
        sorted(kids, key=lambda kid, node=node: key(draft, node, kid))  # type: ignore[misc]
        for node, kids in enumerate(tree.draws)
    ]
    return Draft(Tree(tree.tokens, tree.parent, tree.depth, draws, tree.paths, tree.trunk), draft.p, draft.q)


def traversal_by_token_id(draft: Draft, rng: Rng) -> Sequence[int]:
    return _traversal()(reordered(draft, lambda d, node, kid: d.tokens[kid]), rng)


def traversal_by_probability(draft: Draft, rng: Rng) -> Sequence[int]:
    return _traversal()(reordered(draft, lambda d, node, kid: -float(d.p[node][d.tokens[kid]])), rng)


def _traversal() -> Verifier:
    from tais.lab.verification.traversal import verify

    return verify


def traversal_keeps_its_weight(draft: Draft, rng: Rng) -> list[int]:
    """A refused child does not lower the weight of its node."""

    def visit(node: int, weight: float) -> list[int] | None:
        p, q = draft.p[node], draft.q[node].clone()
        for child in draft.children(node):
            token = draft.tokens[child]
            found = visit(child, ratio(p, q, token, weight))
            if found is not None:
                return [token, *found]
            left = excess(p, q, weight)
            if float(left.sum()) > 0:
                p = left / left.sum()
            q[token] = 0
            q /= q.sum()
        return [rng.categorical(p)] if node == 0 or rng.flip(weight) else None

    return visit(0, 1.0) or [rng.categorical(draft.p[0])]


def gbv_with_two_orders_of_ties(draft: Draft, rng: Rng) -> list[int]:
    """Ranks by the clipped ratio: the law puts the last of a tie on top, the pick takes the first drafted."""
    p, q = draft.p[0], draft.q[0]
    clipped = torch.where(q > 0, p / q, 0.0).clamp(max=1)
    order = torch.sort(clipped, stable=True).indices
    upper = torch.cumsum(q[order], 0)
    law = torch.empty_like(q)
    paths = len(draft.tree.paths)
    law[order] = upper**paths - (upper - q[order]).clamp(min=0) ** paths
    tokens = [draft.tokens[path[0]] for path in draft.tree.paths]
    picked = max(dict.fromkeys(tokens), key=lambda token: float(clipped[token]))
    if rng.flip(ratio(p, law, picked)):
        node = draft.child(0, picked)
        assert node is not None
        return [picked, rng.categorical(draft.p[node])]
    return [sample_excess(p, law, rng)]


def gbv_against_the_law_of_one_draw(draft: Draft, rng: Rng) -> list[int]:
    """Picks the best path and verifies it as if it had not been picked."""
    nodes = greedy_multipath.pick_path(draft)
    picked = [[] for _ in draft.tokens]  # type: list[list[int]]
    for above, below in itertools.pairwise(nodes):
        picked[above] = [below]
    tree = draft.tree
    alone = Tree(tree.tokens, tree.parent, tree.depth, picked, [nodes[1:]], 0)
    return block(Draft(alone, draft.p, draft.q), rng)


def gbv_without_the_trunk(draft: Draft, rng: Rng) -> list[int]:
    """Takes the trunk of a delayed tree for the best of K draws."""
    tree = draft.tree
    flat = Tree(tree.tokens, tree.parent, tree.depth, tree.draws, tree.paths, 0)
    return greedy_multipath.verify(Draft(flat, draft.p, draft.q), rng)


def with_trunk_copies(draft: Draft) -> Draft:
    """The K full paths of a delayed tree, each with its own copy of the trunk."""
    draws = [[] for _ in draft.tokens]  # type: list[list[int]]
    for path in draft.tree.paths:
        for above, below in zip([0, *path], path, strict=False):
            draws[above].append(below)
    tree = draft.tree
    copied = Tree(tree.tokens, tree.parent, tree.depth, draws, tree.paths, tree.trunk)
    return Draft(copied, draft.p, draft.q)


def specinfer_with_trunk_copies(draft: Draft, rng: Rng) -> Sequence[int]:
    return specinfer.verify(with_trunk_copies(draft), rng)


def kseq_with_trunk_copies(draft: Draft, rng: Rng) -> Sequence[int]:
    return kseq.verify(with_trunk_copies(draft), rng)


def specinfer_on_distinct_children(draft: Draft, rng: Rng) -> Sequence[int]:
    """Duplicates dropped, and yet the residual of draws with replacement."""
    tree = draft.tree
    draws = [list(dict.fromkeys(kids)) for kids in tree.draws]
    distinct = Tree(tree.tokens, tree.parent, tree.depth, draws, tree.paths, tree.trunk)
    return specinfer.verify(Draft(distinct, draft.p, draft.q), rng)


def specinfer_without_normalising(draft: Draft, rng: Rng) -> list[int]:
    def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
        for token in tokens:
            if rng.flip(ratio(p, q, token)):
                return token
            p = excess(p, q)
        return rng.categorical(p)

    return walk(draft, rng, rule)


def token_with_the_law_before_temperature(draft: Draft, rng: Rng) -> Sequence[int]:
    """The draft was drawn at one temperature, and its law is told at another."""
    told = draft.q.sqrt()
    told /= told.sum(-1, keepdim=True)
    return _token()(Draft(draft.tree, draft.p, told), rng)


def recursive_on_chosen_children(draft: Draft, rng: Rng) -> Sequence[int]:
    """The likeliest children (EAGLE), tested as if drawn from the draft's softmax."""
    from tais.lab.verification.recursive import verify

    return verify(draft, rng)


def recursive_without_renormalising(draft: Draft, rng: Rng) -> list[int]:
    def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
        for token in dict.fromkeys(tokens):
            if rng.flip(ratio(p, q, token)):
                return token
            p = excess(p, q) / excess(p, q).sum()
            q = q.clone()
            q[token] = 0
        return rng.categorical(p)

    return walk(draft, rng, rule)


def khisti_with_a_fallback_that_disagrees(draft: Draft, rng: Rng) -> list[int]:
    """After a failed programme: picks either draw evenly, and tells the law of the better-ranked one."""

    def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
        rank = torch.argsort(torch.argsort(-(p - q * q), stable=True))
        law = torch.stack([q[i] * (q[i] + 2 * q[rank > rank[i]].sum()) for i in range(len(q))])
        picked = tokens[0] if rng.flip(0.5) else tokens[1]
        return test_one(p, law, [picked], rng)

    return walk(draft, rng, rule)


def kseq_without_the_discount(draft: Draft, rng: Rng) -> list[int]:
    def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
        for token in tokens:
            if rng.flip(ratio(p, q, token)):
                return token
        return sample_excess(p, q, rng)

    return walk(draft, rng, rule)


def _token() -> Verifier:
    from tais.lab.verification.token import verify

    return verify


def token_draws_from_the_target_after_a_refusal(draft: Draft, rng: Rng) -> list[int]:
    nodes, tokens = chain(draft)
    for i, token in enumerate(tokens):
        if not rng.flip(ratio(draft.p[nodes[i]], draft.q[nodes[i]], token)):
            return [*tokens[:i], rng.categorical(draft.p[nodes[i]])]
    return [*tokens, rng.categorical(draft.p[nodes[-1]])]


def token_with_the_last_law_of_the_parent(draft: Draft, rng: Rng) -> Sequence[int]:
    """The row behind the last token is off by one."""
    nodes, _ = chain(draft)
    p = draft.p.clone()
    p[nodes[-1]] = draft.p[nodes[-2]]
    return _token()(Draft(draft.tree, p, draft.q), rng)


def deterministic_keeps_refused_children(draft: Draft, rng: Rng) -> list[int]:
    def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng) -> int:
        for token in tokens:
            if rng.flip(float(p[token])):
                return token
        return rng.categorical(p)

    return walk(draft, rng, rule)


def planted_at(node: tuple[int, ...]) -> Verifier:
    """Token verification that draws from the target after a refusal, at one node only."""

    def verify(draft: Draft, rng: Rng) -> list[int]:
        nodes, tokens = chain(draft)
        for i, token in enumerate(tokens):
            p, q = draft.p[nodes[i]], draft.q[nodes[i]]
            if not rng.flip(ratio(p, q, token)):
                wrong = tuple(tokens[:i]) == node
                return [*tokens[:i], rng.categorical(p) if wrong else sample_excess(p, q, rng)]
        return [*tokens, rng.categorical(draft.p[nodes[-1]])]

    return verify
