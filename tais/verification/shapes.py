"""Shapes of a draft, and how each is grown.

Every shape but ``topk`` is lossless ground: how many children a node gets depends on what was drawn
before them alone, so that they are independent draws from the draft's law given the node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tais.errors import UsageError
from tais.verification.draft import Tree
from tais.verification.rng import Rng

__all__ = ["KINDS", "Laws", "Shape", "grow", "parse_shape"]

Laws = Callable[[Tree, Sequence[int]], torch.Tensor]
"""Law of the draft after each of some nodes, shape (nodes, V)."""

KINDS = ("chain", "paths", "delayed", "tree", "distinct", "topk")
_FORMS = "chain:L, paths:KxL, delayed:L1,K,L2, tree:k1,k2..., distinct:k1,k2..., topk:k1,k2..."
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """What is drafted.

    Attributes
    ----------
    kind
        ``chain`` one path; ``paths`` K independent paths; ``delayed`` one path of `trunk` tokens and K
        independent continuations (delayed tree expansion, arXiv 2602.16994); ``tree`` a fixed number of
        independent children per level; ``distinct`` the same, drawn without replacement; ``topk`` the
        likeliest tokens, which are not drawn at all (EAGLE, Medusa).
    trunk, paths, length
        Of the shapes made of paths: tokens before the branch, number of paths, tokens after the branch.
    branching
        Of the others: children per node, level by level.
    """

    kind: str
    trunk: int = 0
    paths: int = 1
    length: int = 0
    branching: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        """Most tokens on a path."""
        return len(self.branching) or self.trunk + self.length

    @property
    def is_random(self) -> bool:
        """Whether the tokens are drawn from the draft's law."""
        return self.kind != "topk"

    def cut(self, depth: int) -> Shape:
        """Return the shape with at most `depth` tokens on a path."""
        trunk = min(self.trunk, depth)
        return Shape(
            self.kind, trunk, self.paths, min(self.length, depth - trunk), self.branching[: max(0, depth)]
        )

    def __str__(self) -> str:
        """Return the form that :func:`parse_shape` reads."""
        if self.branching:
            return f"{self.kind}:{','.join(map(str, self.branching))}"
        if self.kind == "chain":
            return f"chain:{self.length}"
        if self.kind == "paths":
            return f"paths:{self.paths}x{self.length}"
        return f"delayed:{self.trunk},{self.paths},{self.length}"


def parse_shape(text: str) -> Shape:
    """Read a shape such as ``paths:2x3`` (two paths of three tokens).

    Raises
    ------
    UsageError
        Naming the forms there are.
    """
    kind, _, rest = text.strip().partition(":")
    numbers = [int(n) for n in re.findall(r"\d+", rest)]
    wanted = {"chain": r"\d+", "paths": r"\d+x\d+", "delayed": r"\d+,\d+,\d+"}.get(kind, r"\d+(,\d+)*")
    if kind not in KINDS or not re.fullmatch(wanted, rest):
        raise UsageError(f"no shape {text!r}", remedy=f"Write one of {_FORMS}")
    positive = numbers[1:] if kind == "delayed" else numbers
    if min(positive) < 1 or max(numbers) > _MOST:
        raise UsageError(f"the shape {text!r} has a number out of 1 to {_MOST}", remedy=f"Forms: {_FORMS}")
    if kind == "chain":
        return Shape(kind, length=numbers[0])
    if kind == "paths":
        return Shape(kind, paths=numbers[0], length=numbers[1])
    if kind == "delayed":
        return Shape(kind, numbers[0], numbers[1], numbers[2])
    return Shape(kind, branching=tuple(numbers))


def grow(shape: Shape, laws: Laws, rng: Rng) -> tuple[Tree, dict[int, torch.Tensor]]:
    """Draft a tree.

    Parameters
    ----------
    shape
        What to draft.
    laws
        Asked once per level, for all nodes of that level that get children.
    rng
        Takes the draws.

    Returns
    -------
    (Tree, dict)
        The tree, and the law that the children of each inner node were drawn from.
    """
    tree = Tree(trunk=shape.trunk)
    rows: dict[int, torch.Tensor] = {}
    if shape.branching:
        level = [0]
        for width in shape.branching:
            rows.update(zip(level, laws(tree, level), strict=True))
            level = [child for node in level for child in _family(tree, node, rows[node], width, shape, rng)]
        return tree, rows
    paths: list[list[int]] = [[]]
    for step in range(shape.depth):
        if step == shape.trunk:
            paths = [list(paths[0]) for _ in range(shape.paths)]
        ends = [path[-1] if path else 0 for path in paths]
        level = list(dict.fromkeys(ends))
        rows.update(zip(level, laws(tree, level), strict=True))
        for path, end in zip(paths, ends, strict=True):
            path.append(tree.draw(end, rng.categorical(rows[end])))
    tree.paths = paths
    return tree, rows


def _family(tree: Tree, node: int, law: torch.Tensor, width: int, shape: Shape, rng: Rng) -> list[int]:
    """Give a node its children and return the distinct ones."""
    if not shape.is_random:
        # A token that the draft rules out is no proposal; the sort is stable, so that ties go by token id.
        best = torch.sort(law, descending=True, stable=True).indices[:width]
        return [tree.draw(node, int(token)) for token in best if law[token] > 0]
    left = law.clone()
    for _ in range(width):
        if shape.kind == "distinct" and not bool((left > 0).any()):
            break
        token = rng.categorical(left)
        tree.draw(node, token)
        if shape.kind == "distinct":
            left[token] = 0
    return list(dict.fromkeys(tree.draws[node]))
