"""Vocabulary matching: which next token explains a received state best.

A causal model's state at position n depends on the first n tokens alone. Whoever has the weights finds token
n by trying the vocabulary behind the tokens found so far: V forward passes per token, not V^n. Shuffled rows
are all compared and used up one by one; shuffled coordinates are sorted, which no permutation changes.

References
----------
Thomas et al. (2025), "Hidden No More", arXiv 2505.18332.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tais.lab.leak.defence import Defence, in_order
from tais.lab.leak.model import LeakModel
from tais.lab.leak.walk import Walk
from tais.lab.packages import torch

__all__ = ["Guide", "Match", "Target", "chunks", "search"]

_FIRST, _GROWTH = 16, 4


@dataclass(frozen=True, slots=True)
class Match:
    """The best explanation so far of one position."""

    token: int
    row: int
    """Row of the received states that it explains."""
    distance: float
    """L1 distance in float32; infinite where every candidate's states were not finite."""
    second: float | None
    """Distance of the best other token among those tried; None where only one was."""
    tried: int
    """Candidates whose states were computed."""


class Target:
    """Received states, and which of their rows are still unexplained.

    Parameters
    ----------
    states
        Shape (n, width), as the host received them.
    defence
        What the host knows was done to them.
    """

    def __init__(self, states: torch.Tensor, defence: Defence) -> None:
        states = states.float()
        self.defence = defence
        self.length = int(states.shape[0])
        self._states = in_order(states) if defence.permutation.columns else states
        self._unused = list(range(self.length))

    def distances(self, candidates: torch.Tensor, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the distance of each candidate to its nearest row that may be meant, and that row.

        Parameters
        ----------
        candidates
            States, shape (b, width).
        position
            Where the candidate tokens would stand; decides the row unless rows are shuffled.

        Returns
        -------
        torch.Tensor, torch.Tensor
            Both of shape (b,). States that are not finite are infinitely far.
        """
        rows = self._unused if self.defence.permutation.rows else [position]
        index = torch.tensor(rows, device=candidates.device)
        shown = self.defence.seen(candidates)
        apart = torch.nan_to_num(torch.cdist(shown, self._states[index], p=1.0), nan=torch.inf)
        nearest = apart.min(dim=1)
        return nearest.values, index[nearest.indices]

    def use(self, row: int) -> None:
        """Take a row that is explained out of the search."""
        self._unused.remove(row)


class Guide:
    """The order in which candidates are tried: by a proposal model's scores, best first.

    Parameters
    ----------
    walk
        Of the proposal model, extended along with the attack; None tries the vocabulary in its own order.
    model
        Whose vocabulary is tried.
    """

    def __init__(self, walk: Walk | None, model: LeakModel) -> None:
        self.walk, self.model = walk, model

    def order(self, limit: int | None = None) -> torch.Tensor:
        """Return token ids, at most `limit` of them, each once, shape (k,)."""
        size = self.model.vocabulary
        plain = torch.arange(size, device=self.model.device)
        if self.walk is None or self.walk.logits is None:
            return plain[:limit]
        logits = self.walk.logits.to(self.model.device)[:size]
        # A proposal model with a smaller vocabulary says nothing about the rest: they come last.
        rest = plain[logits.shape[0] :]
        order = torch.nan_to_num(logits, nan=-torch.inf).argsort(descending=True, stable=True)
        return torch.cat([order, rest])[:limit]

    def extend(self, token: int) -> None:
        """Append a token that the proposal model has, too; others leave its view as it was."""
        if self.walk is not None and token < self.walk.model.vocabulary:
            self.walk.extend(token)


def chunks(order: torch.Tensor, most: int) -> Iterator[torch.Tensor]:
    """Cut an order of candidates into batches that grow up to `most`; the last one is what is left.

    A good proposal has the token among its first few, so that a full batch at once would be wasted.
    """
    start, size = 0, min(_FIRST, most)
    while start < len(order):
        yield order[start : start + size]
        start, size = start + size, min(size * _GROWTH, most)


def search(walk: Walk, target: Target, order: torch.Tensor, rows: int) -> Iterator[Match]:
    """Try candidates in order; after each batch, yield the best explanation so far."""
    position = len(walk.tokens)
    best, second, token, row, tried = torch.inf, None, -1, -1, 0
    for batch in chunks(order, rows):
        apart, nearest = target.distances(walk.candidates(batch), position)
        top = apart.topk(min(2, len(batch)), largest=False)
        first = top.indices[0]
        distances, found = top.values.tolist(), (int(batch[first]), int(nearest[first]))
        tried += len(batch)
        # Each token is tried once, so what was best before is another token than this batch's best.
        known = ([] if token < 0 else [best]) + ([] if second is None else [second])
        if token < 0 or distances[0] < best:
            best, (token, row) = distances[0], found
        ranked = sorted([*known, *distances])
        second = ranked[1] if len(ranked) > 1 else None
        yield Match(token, row, best, second, tried)
