"""Importance sampling: one draw is picked so that its law comes near the target's, then tested alone.

For two draws with all pairs free this is the optimum of one level. For more, the winner of a round meets
the next draw, which is lossless and no longer the optimum.

References
----------
Khisti et al. (2025), Multi-Draft Speculative Sampling: Canonical Decomposition and Theoretical Limits,
arXiv 2410.18234.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tais.errors import UsageError
from tais.lab.verification.draft import Draft
from tais.lab.verification.naive import rule as test_one
from tais.lab.verification.rng import Rng
from tais.lab.verification.walk import walk

__all__ = ["ALL_PAIRS_VOCABULARY", "FREE", "rule", "verify", "verify_all_pairs"]

FREE = 5
"""Tokens whose pairs the truncated programme decides."""
ALL_PAIRS_VOCABULARY = 32
"""Largest vocabulary of the whole programme, which has a variable per pair."""


def verify(draft: Draft, rng: Rng) -> list[int]:
    """Decide the pairs of the most wanted tokens by a linear programme, and all others by their rank."""
    return walk(draft, rng, rule)


def verify_all_pairs(draft: Draft, rng: Rng) -> list[int]:
    """Decide every pair by the linear programme.

    Raises
    ------
    UsageError
        For a vocabulary above ``ALL_PAIRS_VOCABULARY``.
    """
    size = draft.p.shape[1]
    if size > ALL_PAIRS_VOCABULARY:
        what = f"khisti_lp takes a vocabulary of at most {ALL_PAIRS_VOCABULARY} tokens, not {size}"
        raise UsageError(what, remedy="Use khisti, which truncates the programme")
    return walk(draft, rng, partial(rule, free=size))


class _Round(NamedTuple):
    """How the pick between two draws is made, and its law."""

    rank: NDArray[np.int64]
    """Place of each token; the smaller one is picked."""
    chosen: dict[tuple[int, int], float]
    """Probability to pick the first of a pair of tokens, where the programme decided."""
    law: NDArray[np.float64]


def rule(p: torch.Tensor, q: torch.Tensor, tokens: Sequence[int], rng: Rng, free: int = FREE) -> int:
    """Pick one draw and test it against its own law; the programme decides the pairs of `free` tokens."""
    if len(tokens) == 1:
        return test_one(p, q, tokens, rng)
    picked = tokens[0]
    rounds = _rounds(p.numpy().tobytes(), q.numpy().tobytes(), len(tokens), min(free, len(p)))
    for made, token in zip(rounds, tokens[1:], strict=True):
        picked = _pick(made, picked, token, rng)
    return test_one(p, torch.from_numpy(rounds[-1].law), [picked], rng)


def _pick(made: _Round, first: int, second: int, rng: Rng) -> int:
    if first == second:
        return first
    low, high = min(first, second), max(first, second)
    if (low, high) in made.chosen:
        return low if rng.flip(made.chosen[low, high]) else high
    return min(first, second, key=lambda token: made.rank[token])


# The laws of a node are the same for whatever was drawn there; enumeration asks for them again and again.
@lru_cache(maxsize=1024)
def _rounds(p_bytes: bytes, q_bytes: bytes, draws: int, free: int) -> tuple[_Round, ...]:
    p, q = np.frombuffer(p_bytes), np.frombuffer(q_bytes)
    rounds, law = [], q
    for _ in range(draws - 1):
        rounds.append(_round(p, law, q, free))
        law = rounds[-1].law
    return tuple(rounds)


def _round(
    p: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64], free: int
) -> _Round:
    """Decide between a draw from `first` and one from `second`.

    Notes
    -----
    The law is computed from the decisions that are taken, never from the programme's objective: where the
    programme fails, the ranks decide all pairs, and the law is theirs. (A fallback whose picks and law
    disagree is lossy.)
    """
    order = np.argsort(-(p - first * second), kind="stable")
    rank = np.empty(len(p), dtype=np.int64)
    rank[order] = np.arange(len(p))
    a, b = first[order], second[order]
    # Mass of the pairs that a token wins by rank: all with a token behind it.
    behind_a, behind_b = (np.append(np.cumsum(x[::-1])[::-1], 0.0)[1:] for x in (a, b))
    law = np.empty(len(p))
    law[order] = a * b + a * behind_b + b * behind_a
    top = sorted(int(token) for token in order[:free])
    pairs = [(i, j) for n, i in enumerate(top) for j in top[n + 1 :]]
    masses = np.array([first[i] * second[j] + first[j] * second[i] for i, j in pairs])
    for (i, j), mass in zip(pairs, masses, strict=True):
        law[i if rank[i] < rank[j] else j] -= mass
    shares = _programme(p[top], law[top], pairs, masses, top)
    if shares is None:
        shares = np.array([1.0 if rank[i] < rank[j] else 0.0 for i, j in pairs])
    for (i, j), mass, share in zip(pairs, masses, shares, strict=True):
        law[i] += mass * share
        law[j] += mass * (1 - share)
    return _Round(rank, dict(zip(pairs, map(float, shares), strict=True)), law.clip(min=0))


def _programme(
    p: NDArray[np.float64],
    base: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    masses: NDArray[np.float64],
    top: Sequence[int],
) -> NDArray[np.float64] | None:
    """Maximise sum min(p, law) over the shares of the pairs; None where the solver fails.

    Variables: a share in [0, 1] per pair, then a level in [0, p] per token that its law must reach.
    """
    if not pairs:
        return np.zeros(0)
    # Loads scipy.
    from scipy.optimize import linprog

    n, place = len(pairs), {token: k for k, token in enumerate(top)}
    bound = np.zeros((len(top), n + len(top)))
    bound[:, n:] = np.eye(len(top))
    limit = base.copy()
    for k, ((i, j), mass) in enumerate(zip(pairs, masses, strict=True)):
        bound[place[i], k] -= mass
        bound[place[j], k] += mass
        limit[place[j]] += mass
    cost = np.concatenate([np.zeros(n), -np.ones(len(top))])
    bounds = [(0.0, 1.0)] * n + [(0.0, float(x)) for x in p]
    found = linprog(cost, A_ub=bound, b_ub=limit.clip(min=0), bounds=bounds, method="highs")
    return np.asarray(found.x[:n]).clip(0, 1) if found.status == 0 else None
