"""What a selector is held against: one choice for all roots, and parting where the draft becomes unsure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tais.lab.verification.selector.actions import Action, Grid
from tais.lab.verification.shapes import Shape

__all__ = ["THRESHOLDS", "EntropyRule", "best_choice", "entropy_rules"]

THRESHOLDS = (0.25, 0.5, 1.0, 1.5, 2.0)
"""Nats of the draft's law, of which the best is taken on training rows."""


@dataclass(frozen=True, slots=True)
class EntropyRule:
    """The paths part at the first node behind which the draft is unsure, as in the shape ``entropy``.

    Attributes
    ----------
    method, paths
        Who judges, and K.
    threshold
        Nats that the draft's law must reach.
    depth
        Tokens on a path in all, as the shape has it; 0 where `tail` is given.
    tail
        Tokens behind the point where the paths part; 0 where `depth` is given.
    """

    method: str
    paths: int
    threshold: float
    depth: int
    tail: int

    def __str__(self) -> str:
        """Return the rule in words."""
        size = f"depth {self.depth}" if self.depth else f"{self.tail} behind"
        return f"{self.method} {self.paths} paths, {size}, {self.threshold:g} nats"

    def choose(self, grid: Grid, entropies: torch.Tensor) -> torch.Tensor:
        """Return the place of the choice made at each root, shape (rows,).

        Parameters
        ----------
        grid
            The choices.
        entropies
            Of the draft's law behind each node of the trunk, shape (rows, trunk + 1).
        """
        reached = entropies >= self.threshold
        steps = min(grid.trunk + 1, self.depth or grid.trunk + 1)
        # argmax finds the first True; a column of True behind all stands for a trunk that never parts.
        reached = torch.cat([reached[:, :steps], torch.ones(len(reached), 1, dtype=torch.bool)], 1)
        first = reached.to(torch.int8).argmax(1)
        places = torch.tensor([self._place(grid, step, steps) for step in range(steps + 1)])
        return places[first]

    def _place(self, grid: Grid, step: int, steps: int) -> int:
        if step == steps:
            shape = Shape("chain", length=self.depth or grid.trunk + self.tail)
        else:
            length = self.depth - step if self.depth else self.tail
            shape = Shape("delayed" if step else "paths", step, self.paths, length)
        return grid.actions.index(Action(self.method, shape))


def entropy_rules(grid: Grid, method: str) -> Iterator[EntropyRule]:
    """Yield the rules that the choices of a grid can express."""
    if not any(grid.actions[i].shape.paths > 1 for i in grid.only(method)):
        return
    # A fixed depth needs a tail as long as the depth for a trunk of 0, and a trunk that reaches its end.
    depths = range(1, min(grid.length, grid.trunk + 1) + 1)
    for paths in grid.paths:
        for threshold in THRESHOLDS:
            yield from (EntropyRule(method, paths, threshold, depth, 0) for depth in depths)
            yield from (EntropyRule(method, paths, threshold, 0, tail) for tail in range(1, grid.length + 1))


def best_choice(tokens: torch.Tensor, seconds: torch.Tensor, places: list[int]) -> int:
    """Return the place of the choice with the most tokens per second when it is made at every root.

    Parameters
    ----------
    tokens
        Of each choice at each root, shape (rows, actions).
    seconds
        Of each choice, shape (actions,).
    places
        Choices to pick from.
    """
    speeds = tokens.mean(0) / seconds
    return places[int(speeds[torch.tensor(places)].argmax())]
