"""Walk every random decision of a piece of code, and so compute the exact law of what it returns.

The code is run again for each sequence of decisions; nothing about it needs to be known but that it takes
all its decisions from the :class:`~tais.lab.verification.rng.Rng` that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from tais.lab.verification.rng import Rng

__all__ = ["NotADecision", "TooManyRuns", "outcomes"]

T = TypeVar("T")

# Beyond this a probability outside [0, 1] is a mistake and no rounding.
_ROUNDING = 1e-9
_MOST_DECISIONS = 10_000
_UNSTEADY = "it does not do the same after the same decisions, so it has another source of chance"


class NotADecision(ValueError):
    """The code asked for a decision that cannot be: a probability outside [0, 1], or weights of no law."""


class TooManyRuns(Exception):
    """The enumeration was cut off."""


class _Script:
    """Takes the decisions of a script, then always the first one that is possible, and notes the others."""

    def __init__(self, script: tuple[int, ...]) -> None:
        self.script = script
        self.taken: list[int] = []
        self.probability = 1.0
        self.others: list[tuple[int, ...]] = []

    def flip(self, prob: float) -> bool:
        value = float(prob)
        if not -_ROUNDING <= value <= 1 + _ROUNDING:
            raise NotADecision(f"flip({value!r}) asks for a probability outside 0 to 1")
        value = min(1.0, max(0.0, value))
        return self._take([1 - value, value]) == 1

    def categorical(self, weights: torch.Tensor) -> int:
        values = torch.as_tensor(weights, dtype=torch.float64).tolist()
        total = math.fsum(values) if isinstance(values, list) else math.nan
        # One comparison with nan is enough to make it false.
        if not (total > 0 and math.isfinite(total) and min(values) >= -_ROUNDING * total):
            raise NotADecision("categorical() was given weights that are no law: " + str(values)[:80])
        return self._take([max(0.0, value) / total for value in values])

    def _take(self, probabilities: list[float]) -> int:
        at = len(self.taken)
        if at >= _MOST_DECISIONS:
            raise NotADecision(f"more than {_MOST_DECISIONS} decisions in one run")
        if at < len(self.script):
            choice = self.script[at]
            if choice >= len(probabilities) or probabilities[choice] <= 0:
                raise NotADecision(_UNSTEADY)
        else:
            possible = [i for i, probability in enumerate(probabilities) if probability > 0]
            choice = possible[0]
            self.others.extend((*self.taken, other) for other in reversed(possible[1:]))
        self.taken.append(choice)
        self.probability *= probabilities[choice]
        return choice


def outcomes(code: Callable[[Rng], T], limit: int, *, twice: bool = False) -> Iterator[tuple[T, float]]:
    """Yield what `code` returns and with what probability, once per sequence of decisions.

    Parameters
    ----------
    code
        Must return the same after the same decisions.
    limit
        Most runs.
    twice
        Run each sequence of decisions twice, to see that they alone decide.

    Raises
    ------
    TooManyRuns
        When there are more.
    NotADecision
        When the code asks for something that is no decision.
    """
    waiting: list[tuple[int, ...]] = [()]
    runs = 0
    while waiting:
        if runs >= limit:
            raise TooManyRuns
        runs += 1
        script = _Script(waiting.pop())
        result = code(script)
        if twice and code(_Script(tuple(script.taken))) != result:
            raise NotADecision(_UNSTEADY)
        waiting.extend(script.others)
        yield result, script.probability
