"""The attack on one prompt, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tais.lab.leak.defence import Defence
from tais.lab.leak.matching import Guide, Match, Target, search
from tais.lab.leak.model import LeakModel
from tais.lab.leak.walk import Walk
from tais.lab.packages import torch

__all__ = ["Attack", "Recovery", "begin", "know", "step"]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the attack read of one prompt."""

    tokens: tuple[int, ...]
    """All tokens, those known beforehand first."""
    matches: tuple[Match, ...]
    """One per token that was not known."""
    unmatched: int
    """Tokens for which every candidate was tried and none came below the threshold."""


@dataclass(frozen=True, slots=True)
class Attack:
    """How the attack is run."""

    model: LeakModel
    layer: int
    defence: Defence = field(default_factory=Defence)
    threshold: float = 0.0
    """L1 distance below which a candidate is taken at once; 0 tries all of them."""
    proposal: LeakModel | None = None
    """Orders the candidates; None tries the vocabulary in its own order."""
    rows: int = 256
    """Most candidates per forward pass."""
    limit: int | None = None
    """Most candidates per token; None for the whole vocabulary."""

    def recover(self, states: torch.Tensor, known: Sequence[int] = ()) -> Recovery:
        """Read a prompt from its states.

        Parameters
        ----------
        states
            What the host received, shape (n, width).
        known
            Tokens that every prompt begins with, such as a beginning-of-sequence token or the head of a
            chat template.

        Notes
        -----
        A wrong token is not taken back: what follows it is matched behind a wrong prefix.
        """
        target, walk, guide = begin(self, states, self.defence)
        know(walk, guide, target, known)
        matches: list[Match] = []
        unmatched = 0
        while len(walk.tokens) < target.length:
            match = self._next(walk, guide, target)
            unmatched += match.distance >= self.threshold > 0
            matches.append(match)
            target.use(match.row)
            if len(walk.tokens) + 1 == target.length:
                return Recovery((*walk.tokens, match.token), tuple(matches), unmatched)
            step(walk, guide, match.token)
        return Recovery(tuple(walk.tokens), tuple(matches), unmatched)

    def _next(self, walk: Walk, guide: Guide, target: Target) -> Match:
        for match in search(walk, target, guide.order(self.limit), self.rows):
            if match.distance < self.threshold:
                break
        return match


def begin(attack: Attack, states: torch.Tensor, defence: Defence) -> tuple[Target, Walk, Guide]:
    """Return the received states, an empty prefix, and its guide."""
    target = Target(states.to(attack.model.device), defence)
    own = attack.proposal is attack.model
    walk = Walk(attack.model, attack.layer, attack.rows, target.length, logits=own)
    if own or attack.proposal is None:
        return target, walk, Guide(walk if own else None, attack.model)
    other = Walk(attack.proposal, 0, 1, target.length, logits=True)
    return target, walk, Guide(other, attack.model)


def step(walk: Walk, guide: Guide, token: int) -> None:
    """Append a token to the prefix, and to the proposal model's where that is another."""
    walk.extend(token)
    if guide.walk is not walk:
        guide.extend(token)


def know(walk: Walk, guide: Guide, target: Target, tokens: Sequence[int]) -> None:
    """Append tokens that are known, and take the rows that they explain out of the search."""
    for token in tokens[: target.length]:
        position = len(walk.tokens)
        if target.defence.permutation.rows:
            ids = torch.tensor([token], device=walk.model.device)
            position = int(target.distances(walk.candidates(ids), position)[1][0])
        target.use(position)
        step(walk, guide, token)
