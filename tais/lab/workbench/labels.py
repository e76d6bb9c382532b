"""Exact labels: the tokens that every choice would have accepted from what was drafted at one root.

One probe holds the draws of all shapes at once: a trunk, and behind each of its nodes independent paths.
Given the draws, nothing is sampled: a rule that goes from the root down is evaluated by its chance to give
each child (the branch-probability programme of arXiv 2602.16994), a path that is verified as a whole by the
chance of each of its lengths, and the traversal by the chance that each node is where it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from tais.lab.verification import block, greedy_multipath
from tais.lab.verification.arithmetic import excess, excess_mass, ratio
from tais.lab.verification.draft import Draft, Tree
from tais.lab.verification.expected import RULES, rule_law
from tais.lab.verification.rng import Rng
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.shapes import Laws, Shape

__all__ = ["Labels", "Probe", "cut_tree", "draw_probe"]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Draws for every shape of a grid.

    Attributes
    ----------
    tree
        All drawn prefixes.
    trunk
        Nodes of the trunk, the root first.
    branches
        [i][k] are the nodes of path k behind node i of the trunk.
    q
        Law of the draft at each node that has children, shape (V,).
    """

    tree: Tree
    trunk: list[int]
    branches: list[list[list[int]]]
    q: dict[int, torch.Tensor]

    def cut_to(self, position: int, paths: int) -> Tree:
        """Return the delayed tree of so many paths behind a node of the trunk; nodes keep their numbers."""
        kept = self.branches[position][:paths]
        tree = Tree(self.tree.tokens, self.tree.parent, self.tree.depth, [[] for _ in self.tree.tokens])
        for node, child in zip(self.trunk[:position], self.trunk[1 : position + 1], strict=True):
            tree.draws[node].append(child)
        for path in kept:
            for node, child in zip([self.trunk[position], *path], path, strict=False):
                tree.draws[node].append(child)
        tree.paths = [[*self.trunk[1 : position + 1], *path] for path in kept]
        tree.trunk = position if paths > 1 else position + len(kept[0])
        return tree


def draw_probe(grid: Grid, laws: Laws, rng: Rng) -> Probe:
    """Draw what every shape of a grid needs.

    Parameters
    ----------
    grid
        The shapes.
    laws
        Asked level by level, each node once.
    rng
        Takes the draws.
    """
    tree, trunk = Tree(), [0]
    probe = Probe(tree, trunk, [], {0: laws(tree, [0])[0]})
    for _ in range(grid.trunk):
        trunk.append(tree.draw(trunk[-1], rng.categorical(probe.q[trunk[-1]])))
        if trunk[-1] not in probe.q:
            probe.q[trunk[-1]] = laws(tree, trunk[-1:])[0]
    probe.branches.extend([[] for _ in range(max(grid.paths, default=1))] for _ in trunk)
    for _ in range(grid.length):
        for start, paths in zip(trunk, probe.branches, strict=True):
            for path in paths:
                end = path[-1] if path else start
                path.append(tree.draw(end, rng.categorical(probe.q[end])))
        ends = dict.fromkeys(path[-1] for paths in probe.branches for path in paths)
        fresh = [node for node in ends if node not in probe.q]
        if fresh and len(probe.branches[0][0]) < grid.length:
            probe.q.update(zip(fresh, laws(tree, fresh), strict=True))
    return probe


class Labels:
    """Expected accepted tokens of every choice on one probe.

    Parameters
    ----------
    grid
        The choices.
    probe
        The draws.
    p
        Law of the target at each node of the probe's tree, shape (N, V).
    ends
        Tokens that end a text: nothing behind them counts.
    """

    def __init__(self, grid: Grid, probe: Probe, p: torch.Tensor, ends: Collection[int] = ()) -> None:
        self.grid, self.probe, self.ends = grid, probe, frozenset(ends)
        q = torch.full_like(p, torch.nan)
        for node, row in probe.q.items():
            q[node] = row
        self._p, self._q = p, q
        self._chances: dict[tuple[str, int, tuple[int, ...]], list[float]] = {}

    def all(self) -> torch.Tensor:
        """Return one number per choice, in the order of ``grid.actions``: shape (actions,), float64."""
        found: dict[tuple[str, Shape], float] = {}
        for method in self.grid.methods:
            tree = self.probe.cut_to(self.grid.trunk, 1)
            by_cut = self.expected(method, tree, range(self.grid.depth + 1))
            for shape in self.grid.shapes[: self.grid.depth + 1]:
                found[method, shape] = by_cut[shape.length]
            shapes = {action.shape for action in self.grid.actions if action.method == method}
            for position, paths in dict.fromkeys((s.trunk, s.paths) for s in shapes if s.kind != "chain"):
                cuts = range(position + 1, position + self.grid.length + 1)
                by_cut = self.expected(method, self.probe.cut_to(position, paths), cuts)
                for cut in cuts:
                    kind = "delayed" if position else "paths"
                    found[method, Shape(kind, position, paths, cut - position)] = by_cut[cut]
        values = [found[action.method, action.shape] for action in self.grid.actions]
        return torch.tensor(values, dtype=torch.float64)

    def expected(self, method: str, tree: Tree, cuts: Sequence[int]) -> dict[int, float]:
        """Return the expected accepted tokens when a tree is cut at each of some depths."""
        draft = Draft(tree, self._p, self._q)
        if method in RULES:
            return self._downwards(method, draft, cuts)
        if method == "traversal":
            return {cut: _traversal(cut_tree(draft, cut), self._worth(tree)) - 1 for cut in cuts}
        if method in ("token", "block", "gbv"):
            if method == "token":
                return self._downwards("naive", draft, cuts)
            return self._whole_path(draft, cuts, picked=method == "gbv" and len(tree.paths) > 1)
        raise NotImplementedError(f"no exact labels for {method}")

    def _worth(self, tree: Tree) -> list[int]:
        """Return the tokens that a step gives which ends at each node: the path and one more."""
        worth = [1] * len(tree.tokens)
        ended = [False] * len(tree.tokens)
        for node in range(1, len(tree.tokens)):
            parent = tree.parent[node]
            ended[node] = ended[parent] or tree.tokens[node] in self.ends
            worth[node] = worth[parent] if ended[node] else tree.depth[node] + 1
        return worth

    def _downwards(self, method: str, draft: Draft, cuts: Sequence[int]) -> dict[int, float]:
        tree, deepest = draft.tree, max(cuts)
        table = [[1.0] * (deepest + 1) for _ in tree.tokens]
        # Parents come before their children, so going backwards every child is done first.
        for node in reversed(range(len(tree.tokens))):
            kids = draft.children(node)
            if not kids:
                continue
            draws = tuple(tree.tokens[kid] for kid in draft.draws(node))
            chances = self._chance(method, node, draws, [tree.tokens[kid] for kid in kids])
            for kid, chance in zip(kids, chances, strict=True):
                if tree.tokens[kid] not in self.ends:
                    for cut in range(1, deepest + 1):
                        table[node][cut] += chance * table[kid][cut - 1]
        return {cut: table[0][cut] - 1 for cut in cuts}

    def _chance(self, method: str, node: int, draws: tuple[int, ...], kids: Sequence[int]) -> list[float]:
        """Return the chance of each child, once per node and draws: shapes have most nodes in common."""
        # With one draw every rule that looks at q is token verification.
        single = len(draws) == 1 and method not in ("nss", "deterministic")
        key = ("" if single else method, node, draws)
        if key not in self._chances:
            if single:
                self._chances[key] = [ratio(self._p[node], self._q[node], draws[0])]
            else:
                law = rule_law(RULES[method], self._p[node], self._q[node], draws)
                self._chances[key] = law[list(kids)].tolist()
        return self._chances[key]

    def _whole_path(self, draft: Draft, cuts: Sequence[int], *, picked: bool) -> dict[int, float]:
        if picked:
            nodes, weights, law, _ = greedy_multipath.picked(draft)
        else:
            nodes, weights, law = block.first_path(draft)
        worth = self._worth(draft.tree)
        accepted = [1.0]
        for i in range(1, len(nodes) - 1):
            mass = excess_mass(draft.p[nodes[i]], law(i), weights[i])
            accepted.append(1.0 if weights[i] >= 1 else mass / (mass + 1 - weights[i]))
        return {
            cut: _longest([worth[n] for n in nodes[: cut + 1]], [*accepted[:cut], weights[cut]]) - 1
            for cut in cuts
        }


def _longest(worth: Sequence[int], chances: Sequence[float]) -> float:
    """Return the mean worth of the longest prefix whose own flip succeeds; that of length 0 always does."""
    mean, left = 0.0, 1.0
    for i in reversed(range(1, len(worth))):
        mean += left * chances[i] * worth[i]
        left *= 1 - chances[i]
    return mean + left * worth[0]


def cut_tree(draft: Draft, depth: int) -> Draft:
    """Return the draft without what lies deeper; nodes keep their numbers."""
    tree = draft.tree
    draws = [kids if tree.depth[node] < depth else [] for node, kids in enumerate(tree.draws)]
    paths = [path[:depth] for path in tree.paths]
    cut = Tree(tree.tokens, tree.parent, tree.depth, draws, paths, min(tree.trunk, depth))
    return Draft(cut, draft.p, draft.q)


def _traversal(draft: Draft, worth: Sequence[int]) -> float:
    """Return the mean worth of the node where a traversal ends; see ``traversal.py``."""

    def visit(node: int, weight: float) -> tuple[float, float]:
        """Return the chance that something below `node` is accepted, and its worth times that chance."""
        if weight <= 0:
            return 0.0, 0.0
        p, q = draft.p[node], draft.q[node]
        left, value = 1.0, 0.0
        children = draft.children(node)
        for i, child in enumerate(children):
            token = draft.tokens[child]
            chance, gained = visit(child, ratio(p, q, token, weight))
            left, value = left * (1 - chance), value + left * gained
            rest = excess(p, q, weight)
            mass = float(rest.sum())
            if mass <= 0:
                weight = 1.0 if node == 0 else 0.0
                break
            weight = mass / (mass + (1 - weight))
            if i + 1 < len(children):
                p = rest.div_(mass)
                q = _without(q, token)
        own = 1.0 if node == 0 else weight
        return 1 - left * (1 - own), value + left * own * worth[node]

    return visit(0, 1.0)[1]


def _without(q: torch.Tensor, token: int) -> torch.Tensor:
    q = q.clone()
    rest = 1 - float(q[token])
    q[token] = 0
    return q / (float(q.sum()) or 1.0) if rest > 0 else q
