"""The most tokens that any lossless rule can accept, by linear programming.

Notes
-----
With f(x) the probability that the prefix x is accepted, a rule is lossless only if f(xy) <= f(x) p(y|x)
everywhere. Over all ways a(D, x) to share out the probability of each drafted tree D among its nodes, the
programme maximises the expected depth. It lets the rule see the whole tree, so the bound holds for all
rules; arXiv 2602.16961 studies such rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from tais.lab.verification.laws import Pair

__all__ = ["accepted_bound"]

_Node = tuple[int, ...]


def accepted_bound(pair: Pair, trees: Iterable[tuple[frozenset[_Node], float]]) -> float | None:
    """Return the largest expected number of accepted tokens; None where the solver fails.

    Parameters
    ----------
    pair
        The laws.
    trees
        Drafted trees as sets of contexts, the root included, with their probabilities.
    """
    # Loads scipy.
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    merged: dict[frozenset[_Node], float] = defaultdict(float)
    for tree, probability in trees:
        merged[tree] += probability
    places = [(tree_index, node) for tree_index, tree in enumerate(merged) for node in sorted(tree)]
    inner = sorted({node for _, node in places if node})
    rows = {node: index for index, node in enumerate(inner)}
    entries = _constraints(pair, places, rows)
    limits = csr_matrix(
        ([value for _, _, value in entries], ([r for r, _, _ in entries], [c for _, c, _ in entries])),
        shape=(len(inner), len(places)),
    )
    shares = csr_matrix(
        (np.ones(len(places)), ([tree for tree, _ in places], range(len(places)))),
        shape=(len(merged), len(places)),
    )
    cost = -np.array([len(node) for _, node in places], dtype=float)
    found = linprog(
        cost,
        A_ub=limits if inner else None,
        b_ub=np.zeros(len(inner)) if inner else None,
        A_eq=shares,
        b_eq=np.array(list(merged.values())),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return -float(found.fun) if found.status == 0 else None


def _constraints(
    pair: Pair, places: list[tuple[int, _Node]], rows: dict[_Node, int]
) -> list[tuple[int, int, float]]:
    """Return (row, column, value) of f(xy) - p(y|x) f(x) <= 0.

    A column adds 1 to f of its node and of all that lie above it.
    """
    entries: dict[tuple[int, int], float] = defaultdict(float)
    for column, (_, node) in enumerate(places):
        for length in range(len(node) + 1):
            above = node[:length]
            if above:
                entries[rows[above], column] += 1.0
            law: Sequence[float] = pair.row(pair.target, above).tolist() if length < pair.depth + 1 else ()
            for token, probability in enumerate(law):
                if (*above, token) in rows:
                    entries[rows[(*above, token)], column] -= probability
    return [(row, column, value) for (row, column), value in entries.items()]
