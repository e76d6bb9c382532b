"""Shapes of a draft, and how each is grown.

Every shape but ``topk`` is lossless ground: how many children a node gets depends on what was drawn
before them alone, so that they are independent draws from the draft's law given the node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import torch

from tais.errors import UsageError
from tais.lab.verification.draft import Tree
from tais.lab.verification.rng import Rng

__all__ = ["KINDS", "Laws", "Shape", "grow", "growing", "parse_shape"]

Laws = Callable[[Tree, Sequence[int]], torch.Tensor]
"""Law of the draft after each of some nodes, shape (nodes, V)."""

KINDS = ("chain", "paths", "delayed", "entropy", "tree", "distinct", "topk")
_FORMS = "chain:L, paths:KxL, delayed:L1,K,L2, entropy:H,K,L, tree:k1,k2..., distinct:k1,k2..., topk:k1,k2..."
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """What is drafted.

    Attributes
    ----------
    kind
        ``chain`` one path; ``paths`` K independent paths; ``delayed`` one path of `trunk` tokens and K
        independent continuations (delayed tree expansion, arXiv 2602.16994); ``entropy`` the same, where
        the trunk ends at the first node after which the draft is unsure; ``tree`` a fixed number of
        independent children per level; ``distinct`` the same, drawn without replacement; ``topk`` the
        likeliest tokens, which are not drawn at all (EAGLE, Medusa).
    trunk, paths, length
        Of the shapes made of paths: tokens before the branch, number of paths, tokens after the branch.
    branching
        Of the others: children per node, level by level.
    entropy
        Of ``entropy``: nats that the draft's law must reach for the paths to part.
    """

    kind: str
    trunk: int = 0
    paths: int = 1
    length: int = 0
    branching: tuple[int, ...] = ()
    entropy: float = 0.0

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
        return replace(
            self, trunk=trunk, length=min(self.length, depth - trunk), branching=self.branching[:depth]
        )

    def parts_after(self, step: int, law: torch.Tensor) -> bool:
        """Return whether the paths part after `step` tokens, where the draft's law is `law`.

        Both are known before the tokens that follow are drawn; a rule that looked at those would be lossy.
        """
        if self.kind != "entropy":
            return step == self.trunk
        return -float(torch.xlogy(law, law).sum()) >= self.entropy

    def __str__(self) -> str:
        """Return the form that :func:`parse_shape` reads."""
        if self.branching:
            return f"{self.kind}:{','.join(map(str, self.branching))}"
        if self.kind == "chain":
            return f"chain:{self.length}"
        if self.kind == "paths":
            return f"paths:{self.paths}x{self.length}"
        if self.kind == "entropy":
            return f"entropy:{self.entropy:g},{self.paths},{self.length}"
        return f"delayed:{self.trunk},{self.paths},{self.length}"


def parse_shape(text: str) -> Shape:
    """Read a shape such as ``paths:2x3`` (two paths of three tokens).

    Raises
    ------
    UsageError
        Naming the forms there are.
    """
    kind, _, rest = text.strip().partition(":")
    if kind == "entropy":
        return _by_entropy(text, rest)
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


def _by_entropy(text: str, rest: str) -> Shape:
    found = re.fullmatch(r"(\d+(?:\.\d+)?),([1-9]\d{0,3}),([1-9]\d{0,3})", rest)
    if found is None:
        raise UsageError(f"no shape {text!r}", remedy=f"Write one of {_FORMS}")
    nats, paths, length = found.groups()
    return Shape("entropy", paths=int(paths), length=int(length), entropy=float(nats))


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
    asking = growing(shape, rng)
    answer = None
    while True:
        try:
            answer = laws(*asking.send(answer))
        except StopIteration as done:
            grown: tuple[Tree, dict[int, torch.Tensor]] = done.value
            return grown


Growing = Generator[tuple[Tree, Sequence[int]], torch.Tensor | None, tuple[Tree, dict[int, torch.Tensor]]]


def growing(shape: Shape, rng: Rng) -> Growing:
    """Draft a tree as :func:`grow` does: yield the tree and the nodes of a level, be sent their laws."""
    tree = Tree()
    rows: dict[int, torch.Tensor] = {}
    if shape.branching:
        level = [0]
        for width in shape.branching:
            rows.update(zip(level, _sent((yield tree, level)), strict=True))
            level = [child for node in level for child in _family(tree, node, rows[node], width, shape, rng)]
        return tree, rows
    tree.paths, apart = [[]], False
    for step in range(shape.depth):
        level = list(dict.fromkeys(path[-1] if path else 0 for path in tree.paths))
        rows.update(zip(level, _sent((yield tree, level)), strict=True))
        if not apart:
            apart, tree.trunk = shape.parts_after(step, rows[level[0]]), step
            tree.paths = [list(tree.paths[0]) for _ in range(shape.paths if apart else 1)]
        for path in tree.paths:
            end = path[-1] if path else 0
            path.append(tree.draw(end, rng.categorical(rows[end])))
    if not apart:
        tree.trunk = shape.depth
    return tree, rows


def _sent(laws: torch.Tensor | None) -> torch.Tensor:
    assert laws is not None
    return laws


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
