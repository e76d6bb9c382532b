"""From the law of a verifier's outputs to the law of the text that it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tais.lab.verification.laws import Pair

__all__ = ["Break", "Tally"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the output is not the target's.

    Attributes
    ----------
    node
        Accepted tokens before it.
    token
        The token after them.
    accepted, emitted, wanted
        f(xy), the probability to stop at x and emit y, and f(x) p(y|x), of which a lossless rule makes
        the sum of the first two.
    """

    node: tuple[int, ...]
    token: int
    accepted: float
    emitted: float
    wanted: float

    @property
    def surplus(self) -> float:
        """How much too often the token follows the node; negative where too seldom."""
        return self.accepted + self.emitted - self.wanted


class Tally:
    """Probabilities of outputs, by accepted prefix.

    Parameters
    ----------
    pair
        The laws.
    depth
        Most drafted tokens, L.

    Notes
    -----
    With f(x) the probability that x is a prefix of what is accepted and g(x, y) that of stopping at x and
    emitting y, a rule is lossless if and only if f(xy) + g(x, y) = f(x) p(y|x) for all x and y: then the
    probability that the text begins with xy is p(xy) by induction. As g is not negative, this contains
    f(xy) <= f(x) p(y|x), and the law of the emitted token is the residual f(x) p(y|x) - f(xy).
    """

    def __init__(self, pair: Pair, depth: int) -> None:
        self.pair = pair
        self.depth = depth
        self.size = pair.vocabulary
        self.accepted: list[Array] = [np.zeros(self.size**d) for d in range(depth + 1)]
        self.emitted: list[Array] = [np.zeros((self.size**d, self.size)) for d in range(depth + 1)]
        self.length = 0.0
        self.total = 0.0

    def add(self, outputs: Iterable[tuple[Sequence[int], float]]) -> None:
        """Add outputs, accepted tokens and then one more, with their probabilities."""
        for output, probability in outputs:
            index = 0
            for d, token in enumerate(output):
                self.accepted[d][index] += probability
                if d == len(output) - 1:
                    self.emitted[d][index, token] += probability
                index = index * self.size + token
            self.length += probability * (len(output) - 1)
            self.total += probability

    def surplus(self, d: int) -> Array:
        """Return f(xy) + g(x, y) - f(x) p(y|x) for all x of d tokens, shape (V^d, V)."""
        passed: Array = np.zeros((self.size**d, self.size))
        if d < self.depth:
            passed = self.accepted[d + 1].reshape(-1, self.size)
        return np.asarray(passed + self.emitted[d] - self.accepted[d][:, None] * self._target(d))

    def breaks(self, tolerance: float) -> list[Break]:
        """Return the places where the condition does not hold, the shortest node first, then by size."""
        found = []
        for d in range(self.depth + 1):
            surplus = self.surplus(d)
            places = [(int(x), int(y)) for x, y in np.argwhere(np.abs(surplus) > tolerance)]
            for x, y in sorted(places, key=lambda place: -abs(float(surplus[place]))):
                after = float(self.accepted[d + 1][x * self.size + y]) if d < self.depth else 0.0
                wanted = float(self.accepted[d][x] * self._target(d)[x, y])
                found.append(Break(self._digits(x, d), y, after, float(self.emitted[d][x, y]), wanted))
        return found

    def total_variation(self) -> float:
        """Return the distance of the first L + 1 tokens from the target's, in [0, 1].

        Outputs shorter than L + 1 go on as the target would.
        """
        ended: Array = np.zeros(1)
        true: Array = np.ones(1)
        for d in range(self.depth + 1):
            law = self._target(d)
            ended = (self.emitted[d] + ended[:, None] * law).ravel()
            true = (true[:, None] * law).ravel()
        return float(0.5 * np.abs(ended - true).sum())

    def _target(self, d: int) -> Array:
        return np.asarray(self.pair.target[d].numpy())

    def _digits(self, index: int, length: int) -> tuple[int, ...]:
        digits = []
        for _ in range(length):
            index, digit = divmod(index, self.size)
            digits.append(digit)
        return tuple(reversed(digits))
