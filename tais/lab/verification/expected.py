"""Exact expected accepted tokens on one drafted tree, without sampling the verifier.

For the algorithms that go from the root down, E(x) = sum over children t of Pr(rule gives t) (1 + E(xt)).
The rule's law comes from the shipped rule itself: its flips are walked, and its last draw, whatever the
vocabulary, is taken as the law that it is drawn from. These are the labels that a choice of the draft's
shape is trained on (arXiv 2602.16994), and they measure efficiency with less noise than outputs do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification import deterministic, khisti, kseq, naive, nss, recursive, specinfer
from tais.lab.verification.draft import Draft
from tais.lab.verification.replay import outcomes
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import Rule

__all__ = ["RULES", "depth_table", "rule_law"]

RULES: dict[str, Rule] = {
    "nss": nss.rule,
    "naive": naive.rule,
    "specinfer": specinfer.rule,
    "recursive": recursive.rule,
    "kseq": kseq.rule,
    "khisti": khisti.rule,
    "deterministic": deterministic.rule,
}
"""Rules of the algorithms that go from the root down, by the name of their verifier."""

# Flips of one rule: two outcomes per draw at the most.
_MOST = 1 << 16


class _Drawn(Exception):
    """Carries the weights of a rule's last draw out of it."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights


class _Last:
    """Passes flips on, and stops at the draw, which ends every rule."""

    def __init__(self, rng: Rng) -> None:
        self.flip = rng.flip

    def categorical(self, weights: torch.Tensor) -> int:
        raise _Drawn(weights)


def rule_law(rule: Rule, p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """Return the law of a rule's token given its children, shape (V,).

    Parameters
    ----------
    rule
        One that returns what it draws last.
    p, q
        Laws of target and draft, shape (V,).
    tokens
        Children in draft order, with multiplicity.
    """

    def run(rng: Rng) -> int | torch.Tensor:
        try:
            return rule(p, q, tokens, _Last(rng))
        except _Drawn as drawn:
            return drawn.weights / drawn.weights.sum()

    law = torch.zeros_like(p)
    for result, probability in outcomes(run, _MOST):
        if isinstance(result, int):
            law[result] += probability
        else:
            law += probability * result
    return law


def depth_table(draft: Draft, rule: Rule) -> list[list[float]]:
    """Return the expected accepted tokens below each node when the tree is cut at each depth.

    Returns
    -------
    list of list of float
        Entry [x][d] for node x and a tree cut d levels below it; [x][0] is 0. One tree so gives the labels
        of all shorter drafts.
    """
    tree = draft.tree
    deepest = max(tree.depth)
    table = [[0.0] * (deepest + 1) for _ in tree.tokens]
    # Parents come before their children, so going backwards every child is done first.
    for node in reversed(range(len(tree.tokens))):
        draws = draft.draws(node)
        if not draws:
            continue
        law: Sequence[float] | torch.Tensor = rule_law(
            rule, draft.p[node], draft.q[node], [tree.tokens[kid] for kid in draws]
        )
        chances = {kid: float(law[tree.tokens[kid]]) for kid in draft.children(node)}
        for cut in range(1, deepest + 1):
            table[node][cut] = sum(chance * (1 + table[kid][cut - 1]) for kid, chance in chances.items())
    return table
