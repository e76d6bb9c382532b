"""What a verifier is given: the drafted tree with the laws of target and draft at its nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from tais.errors import UsageError
from tais.lab.verification.rng import Rng

__all__ = ["Draft", "Tree", "Verifier"]


@dataclass(slots=True)
class Tree:
    """Drafted tokens as a tree; node 0 is the context, and parents come before their children.

    A prefix that was drawn several times is one node.
    """

    tokens: list[int] = field(default_factory=lambda: [-1])
    """Token of each node; -1 at the root, which drafts nothing."""
    parent: list[int] = field(default_factory=lambda: [-1])
    depth: list[int] = field(default_factory=lambda: [0])
    draws: list[list[int]] = field(default_factory=lambda: [[]])
    """Children of each node in the order in which they were drawn, once per draw."""
    paths: list[list[int]] = field(default_factory=list)
    """Nodes of each drawn path below the root; empty where the shape is not made of paths."""
    trunk: int = 0
    """Depth up to which all paths are one and the same draw."""

    def draw(self, parent: int, token: int) -> int:
        """Record that `token` was drawn below `parent` and return its node."""
        node = next((child for child in self.draws[parent] if self.tokens[child] == token), len(self.tokens))
        if node == len(self.tokens):
            self.tokens.append(token)
            self.parent.append(parent)
            self.depth.append(self.depth[parent] + 1)
            self.draws.append([])
        self.draws[parent].append(node)
        return node

    def context(self, node: int) -> tuple[int, ...]:
        """Return the tokens from the root to `node`."""
        tokens: list[int] = []
        while node:
            tokens.append(self.tokens[node])
            node = self.parent[node]
        return tuple(reversed(tokens))


@dataclass(slots=True, eq=False)
class Draft:
    """A drafted tree and what both models say of it.

    Attributes
    ----------
    tree
        N nodes.
    p
        Law of the target after each node, after temperature, top-k and top-p: shape (N, V), float64.
    q
        Law that the children of each node were really drawn from, shape (N, V); a leaf's row is nan.
    logits
        What `p` was made of, shape (N, V); None where only the laws are known.
    asked_raw
        Whether the verifier read :attr:`raw_p`.
    """

    tree: Tree
    p: torch.Tensor
    q: torch.Tensor
    logits: torch.Tensor | None = None
    asked_raw: bool = False

    @property
    def raw_p(self) -> torch.Tensor:
        """Law of the target before temperature, top-k and top-p: shape (N, V), float64.

        Rules that read an engine's own logits (an entropy, a second threshold) see this law at every
        temperature; at temperature 0 `p` is one token and says nothing of it.

        Raises
        ------
        UsageError
            Where only the laws are known that tokens are drawn from.
        """
        self.asked_raw = True
        if self.logits is None:
            what = "the verifier reads raw_p, and only the laws after temperature are known here"
            raise UsageError(what, remedy="Ask tais law, or an arm of the reference engine")
        return torch.softmax(self.logits.detach().to("cpu", torch.float64), -1)

    @property
    def tokens(self) -> Sequence[int]:
        """Token of each node."""
        return self.tree.tokens

    def draws(self, node: int) -> list[int]:
        """Return the children of a node in draft order, with multiplicity."""
        return self.tree.draws[node]

    def children(self, node: int) -> list[int]:
        """Return the distinct children of a node in order of first appearance."""
        return list(dict.fromkeys(self.tree.draws[node]))

    def child(self, node: int, token: int) -> int | None:
        """Return the child that carries `token`, if it was drafted."""
        return next((child for child in self.tree.draws[node] if self.tree.tokens[child] == token), None)


Verifier = Callable[[Draft, Rng], Sequence[int]]
"""Returns the accepted tokens, a path from the root, and then the one token that follows them."""
