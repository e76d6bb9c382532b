"""Small pairs of target and draft, given in full, on which an output law can be enumerated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tais.lab.verification.draft import Draft, Tree
from tais.lab.verification.rng import Rng
from tais.lab.verification.shapes import Shape, grow

__all__ = ["TOY2", "TOY3", "Pair", "context_free", "draw", "random_pair"]

TOY2 = ((1 / 3, 2 / 3), (2 / 3, 1 / 3))
"""Target and draft of lemma 1 of arXiv 2403.10444."""
TOY3 = ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5))


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Laws of the next token by context.

    Attributes
    ----------
    name
        For the reader.
    target, draft
        One tensor per context length d = 0, 1 ... D, shape (V^d, V), float64; a context is the number that
        its tokens write in base V.
    logits
        Of the target, shaped alike: what its laws were made of; None where they are not known.
    """

    name: str
    target: tuple[torch.Tensor, ...]
    draft: tuple[torch.Tensor, ...]
    logits: tuple[torch.Tensor, ...] | None = None

    @property
    def vocabulary(self) -> int:
        """V."""
        return int(self.target[0].shape[1])

    @property
    def depth(self) -> int:
        """Longest context that has a law."""
        return len(self.target) - 1

    def row(self, laws: Sequence[torch.Tensor], context: Sequence[int]) -> torch.Tensor:
        """Return one law, shape (V,)."""
        index = 0
        for token in context:
            index = index * self.vocabulary + token
        return laws[len(context)][index]


def context_free(name: str, p: Sequence[float], q: Sequence[float], depth: int) -> Pair:
    """Return a pair whose laws are the same after every context."""
    sides = []
    for law in (p, q):
        row = torch.tensor(law, dtype=torch.float64)
        sides.append(tuple(row.expand(len(law) ** d, -1).clone() for d in range(depth + 1)))
    target, draft = sides
    return Pair(name, target, draft, tuple(torch.log(law) for law in target))


def random_pair(
    vocabulary: int, depth: int, seed: int, divergence: float = 1.0, temperature: float = 1.0
) -> Pair:
    """Return a pair with another law after every context.

    Parameters
    ----------
    vocabulary, depth
        V, and the longest context.
    seed
        Of the laws.
    divergence
        The draft's logits are the target's, of standard deviation 1.3, plus `divergence` times noise of the
        same size: 0 gives p = q.
    temperature
        Divides both; 0 gives point masses.
    """
    generator = torch.Generator().manual_seed(seed)
    sides: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    raw = []
    for d in range(depth + 1):
        shape = (vocabulary**d, vocabulary)
        logits, noise = (1.3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in "pq")
        raw.append(logits)
        for side, values in zip(sides, (logits, logits + divergence * noise), strict=True):
            side.append(_law(values, temperature))
    name = f"random V={vocabulary} seed={seed}"
    return Pair(name, tuple(sides[0]), tuple(sides[1]), tuple(raw))


def _law(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return torch.softmax(logits / temperature, -1)


def draw(pair: Pair, shape: Shape, rng: Rng) -> Draft:
    """Draft a tree from a pair."""

    def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
        return torch.stack([pair.row(pair.draft, tree.context(node)) for node in nodes])

    tree, rows = grow(shape, laws, rng)
    contexts = [tree.context(node) for node in range(len(tree.tokens))]
    p = torch.stack([pair.row(pair.target, context) for context in contexts])
    logits = None
    if (raw := pair.logits) is not None:
        logits = torch.stack([pair.row(raw, context) for context in contexts])
    q = torch.full_like(p, torch.nan)
    for node, row in rows.items():
        q[node] = row
    return Draft(tree, p, q, logits)
