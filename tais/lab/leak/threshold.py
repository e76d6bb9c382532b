"""The distance below which a candidate is taken at once, found by search on held-out prompts.

Too low, and rounding (another batch shape, another dtype, noise) keeps the right token above it: the whole
vocabulary is then tried. Too high, and a wrong token is taken before the right one has its turn. Every
held-out position is searched once without stopping; what any threshold would have done is then counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tais.lab.leak.attack import Attack, begin, know
from tais.lab.leak.matching import Match, search
from tais.lab.leak.walk import Walk
from tais.lab.packages import torch
from tais.stats.proportions import FloatArray

__all__ = ["DEPTH", "Threshold", "Trace", "choose", "find_threshold", "sample_prompts", "trace"]

DEPTH = 512
"""Candidates tried per held-out position. Only what a proposal ranks before the right token can be taken in
its place, so candidates far down the list do not matter."""

# Distances between equal states can be exactly 0, which has no geometric mean with anything.
_FLOOR = 1e-6
# Without a second token seen, how far above the right token's distance the threshold may lie.
_SLACK = 1e3


@dataclass(frozen=True, slots=True)
class Trace:
    """What the search at one held-out position saw, batch by batch."""

    distance: FloatArray
    """Best distance after each batch, shape (batches,), not increasing."""
    right: FloatArray
    """1 where that best candidate was the right token."""
    tried: FloatArray
    """Candidates tried so far."""
    wrong: float
    """Distance of the best wrong candidate of all; infinite without one."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and what it does on the held-out positions."""

    threshold: float
    """L1 distance; 0 where stopping early would read less."""
    positions: int
    recovered: float
    """Share of held-out positions that it reads rightly behind the right prefix."""
    tried: float
    """Candidates per position, of at most `DEPTH`."""


def trace(
    attack: Attack, tokens: Sequence[int], states: torch.Tensor, known: Sequence[int], most: int
) -> list[Trace]:
    """Search positions of a held-out prompt to the end, behind its right prefix.

    Parameters
    ----------
    attack
        As it will be run.
    tokens, states
        The prompt and its states as received, shape (n, width).
    known
        Tokens that are not searched.
    most
        Most positions.
    """
    target, walk, guide = begin(attack, states, attack.defence)
    know(walk, guide, target, known)
    found = []
    for token in tokens[len(known) : len(known) + most]:
        order = guide.order(DEPTH)
        right = torch.tensor([token], device=order.device)
        if not bool((order == right).any()):
            order = torch.cat([order, right])
        found.append(_trace(list(search(walk, target, order, attack.rows)), token))
        know(walk, guide, target, [token])
    return found


def _trace(matches: Sequence[Match], token: int) -> Trace:
    last = matches[-1]
    wrong = last.second if last.token == token else last.distance
    return Trace(
        np.array([m.distance for m in matches]),
        np.array([float(m.token == token) for m in matches]),
        np.array([float(m.tried) for m in matches]),
        np.inf if wrong is None else wrong,
    )


def choose(traces: Sequence[Trace]) -> Threshold:
    """Return the threshold that reads most positions; among those, the one that tries fewest candidates.

    Parameters
    ----------
    traces
        At least one.

    Notes
    -----
    The outcome changes only at distances that were seen, so trying one threshold between each two of them
    is a search of all thresholds. Of the best stretch the geometric middle is taken, between the right
    tokens' distances and the nearest wrong one.
    """
    edges = np.unique(np.concatenate([[0.0], *(t.distance[np.isfinite(t.distance)] for t in traces)]))
    if _outcome(traces, 0.0)[0] < 1:
        # Right and wrong overlap: few positions then say little, and stopping early only weakens the attack.
        edges = edges[edges < min(_wrong(t) for t in traces)]
    # Outcome i + 1 takes what lies at or below edges[i]; outcome 0 takes nothing before all was tried.
    outcomes = [_outcome(traces, 0.0), *(_outcome(traces, np.nextafter(e, np.inf)) for e in edges)]
    best = max(range(len(outcomes)), key=lambda i: (outcomes[i][0], -outcomes[i][1], i > 0, -i))
    recovered, tried = outcomes[best]
    if best == 0:
        return Threshold(0.0, len(traces), recovered, tried)
    last = best
    while last + 1 < len(outcomes) and outcomes[last + 1] == outcomes[best]:
        last += 1
    low = float(edges[last - 1])
    above = [*edges[last:].tolist(), *(t.wrong for t in traces if low < t.wrong < np.inf)]
    high = min(above, default=max(low, _FLOOR) * _SLACK)
    threshold = float(np.sqrt(max(low, high * _FLOOR) * high))
    return Threshold(threshold, len(traces), recovered, tried)


def _wrong(t: Trace) -> float:
    """Return the smallest distance of a wrong candidate at one position."""
    return float(min([t.wrong, *t.distance[t.right == 0]]))


def _outcome(traces: Sequence[Trace], threshold: float) -> tuple[float, float]:
    right, tried = 0.0, 0.0
    for t in traces:
        below = np.flatnonzero(t.distance < threshold)
        at = int(below[0]) if len(below) else len(t.distance) - 1
        right, tried = right + t.right[at], tried + t.tried[at]
    return float(right / len(traces)), float(tried / len(traces))


def sample_prompts(
    attack: Attack, known: Sequence[int], count: int, length: int, seed: int
) -> list[tuple[int, ...]]:
    """Return prompts that the model writes itself, behind the tokens that all prompts begin with.

    They are held out by construction and need no data. Without a known token, the first one is drawn
    uniformly.
    """
    generator = torch.Generator().manual_seed(seed)
    prompts = []
    for _ in range(count):
        walk = Walk(attack.model, 0, 1, length, logits=True)
        for token in known[: length - 1]:
            walk.extend(token)
        while len(walk.tokens) < length:
            if walk.logits is None:
                weights = torch.ones(attack.model.vocabulary)
            else:
                weights = walk.logits[: attack.model.vocabulary].softmax(dim=-1).cpu()
            walk.extend(int(torch.multinomial(weights, 1, generator=generator)))
        prompts.append(tuple(walk.tokens))
    return prompts


def find_threshold(
    attack: Attack,
    prompts: Sequence[tuple[Sequence[int], torch.Tensor]],
    known: Sequence[int],
    positions: int,
) -> Threshold:
    """Find the threshold on held-out prompts.

    Parameters
    ----------
    attack
        As it will be run; its own threshold is not looked at.
    prompts
        Tokens and received states of each, defended as those attacked are.
    known
        Tokens that every prompt begins with.
    positions
        Positions searched in all; the same number of each prompt.
    """
    attack = replace(attack, threshold=0.0)
    each = -(-positions // len(prompts))
    traces = [t for tokens, states in prompts for t in trace(attack, tokens, states, known, each)]
    return choose(traces)
