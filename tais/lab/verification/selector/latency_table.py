"""Latencies of passes by number of tokens, measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypedDict

import torch

from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.facts import MachineFacts

__all__ = ["Latency", "LatencyJson"]


class LatencyJson(TypedDict):
    """A table as JSON holds it."""

    passes: dict[str, float]
    verification: dict[str, dict[str, float]]
    choosing: float
    context: int
    clock: str
    machine: MachineFacts


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of a step.

    Attributes
    ----------
    passes
        Draft passes, target pass and caches, by shape; the draft's pass over the root is in all of them.
    verification
        By method and shape.
    choosing
        Features and selector.
    context
        Tokens of the text.
    clock
        ``processor`` where one thread of a processor does everything, so that other work on the machine
        does not count; else ``wall``.
    machine
        Hardware, system and library versions.
    """

    passes: dict[str, float]
    verification: dict[str, dict[str, float]]
    choosing: float
    context: int
    clock: str
    machine: MachineFacts

    def seconds(self, grid: Grid) -> torch.Tensor:
        """Return the seconds of each choice without those of choosing, shape (actions,), float64."""
        found = []
        for action in grid.actions:
            shape = str(action.shape)
            found.append(self.passes[shape] + self.verification[action.method][shape])
        return torch.tensor(found, dtype=torch.float64)

    def to_json(self) -> dict[str, object]:
        """Return the table as JSON-ready data."""
        return asdict(self)
