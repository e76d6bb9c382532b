"""How often the conformance tests and the audit err, and what they find, by simulation.

Read by the tables of the documentation and by the tests. Target and draft are Markov chains here, so that the
law of every token is known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tais.errors import TaisError
from tais.stats.conformance.conformance import Conformance, ConformanceResult
from tais.stats.conformance.laws import IntArray, TokenLaws, partition
from tais.stats.proportions import FloatArray
from tais.stats.rounding_band import ROUNDOFF, band, leak_upper_bound

__all__ = ["Planted", "ToyPair", "draw", "greedy_arm", "planted_leaks", "simulate", "toy_pair"]

Rule = Literal["mixture", "typical"]


@dataclass(frozen=True, slots=True)
class ToyPair:
    """Next-token laws of a target and a draft, each of shape (V, V): row = token before."""

    target: FloatArray
    draft: FloatArray

    @property
    def distance(self) -> float:
        """Mean total variation between the rows."""
        return float(np.abs(self.target - self.draft).sum(axis=1).mean() / 2)


def toy_pair(vocabulary: int = 8, distance: float = 0.2, seed: int = 0) -> ToyPair:
    """Random pair of chains at a given mean total variation.

    Parameters
    ----------
    vocabulary
        Tokens, at least 2.
    distance
        Mean total variation between the laws, small enough to be reached.
    seed
        Of NumPy's frozen RandomState stream.
    """
    random = np.random.RandomState(seed)
    target = random.dirichlet(np.ones(vocabulary), vocabulary)
    other = random.dirichlet(np.ones(vocabulary), vocabulary)
    share = distance / ToyPair(target, other).distance
    if not 0 <= share <= 1:
        raise TaisError(f"no toy draft at total variation {distance}")
    return ToyPair(target, (1 - share) * target + share * other)


def _typical(pair: ToyPair) -> FloatArray:
    """Law of one token under typical acceptance: accept a draft x when p(x) > min(0.09, 0.3 exp(-H)).

    Medusa's rule with its defaults; a rejected draft is replaced by a draw from the residual of p - q.
    """
    p, q = pair.target, pair.draft
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(axis=1, keepdims=True)
    accepted = np.where(p > np.minimum(0.09, 0.3 * np.exp(-entropy)), q, 0.0)
    residual = np.maximum(p - q, 0)
    residual /= residual.sum(axis=1, keepdims=True)
    return np.asarray(accepted + (1 - accepted.sum(axis=1, keepdims=True)) * residual)


def draw(
    pair: ToyPair,
    n: int,
    random: np.random.RandomState,
    *,
    leak: float = 0.0,
    rule: Rule = "mixture",
    listed: int = 5,
    prompts: int = 50,
    repeats: int = 4,
) -> TokenLaws:
    """Draw n tokens and lay out their laws on {listed most probable tokens, rest}.

    Parameters
    ----------
    pair
        Target and draft.
    n
        Tokens; prompts x repeats sequences of equal length, so rounded down to a multiple.
    random
        Source of randomness.
    leak
        Share of tokens from the draft, for the rule "mixture".
    rule
        "typical": every token from a draft under typical acceptance.
    listed, prompts, repeats
        Cells listed, prompts, and samples per prompt.
    """
    law = (1 - leak) * pair.target + leak * pair.draft if rule == "mixture" else _typical(pair)
    steps, sequences = n // (prompts * repeats), prompts * repeats
    cumulative = np.cumsum(law, axis=1)
    cumulative[:, -1] = 1.0
    before = np.zeros((steps, sequences), np.int64)
    tokens = np.zeros_like(before)
    state = random.randint(0, len(law), sequences)
    for t in range(steps):
        before[t] = state
        state = (random.random_sample(sequences)[:, None] >= cumulative[state]).sum(axis=1)
        tokens[t] = state
    rows, given = before.T.ravel(), tokens.T.ravel()
    sample = np.repeat(np.arange(sequences), steps)
    with np.errstate(divide="ignore"):
        target, draft = np.log(pair.target)[rows], np.log(pair.draft)[rows]
    return partition(target, given, listed, cluster=sample // repeats, sample=sample, draft_logprobs=draft)


def simulate(
    pair: ToyPair, n: int, runs: int, *, leak: float = 0.0, rule: Rule = "mixture", seed: int = 0
) -> list[ConformanceResult]:
    """Conformance of simulated runs of n tokens each; arguments as for :func:`draw`."""
    random = np.random.RandomState(seed)
    results = []
    for run in range(runs):
        conformance = Conformance(seed=run)
        conformance.update(draw(pair, n, random, leak=leak, rule=rule))
        results.append(conformance.result())
    return results


@dataclass(frozen=True, slots=True)
class Planted:
    """Audits with planted leaks, shares of the simulated arms."""

    detected: float
    """Arms with a miss outside the band."""
    visible: float
    """Leaked tokens that are outside the band."""
    bound_holds: float
    """Arms whose upper bound on the share of leaked tokens covers the true share."""
    mean_bound: float
    mean_band: float


def planted_leaks(
    leaked: int,
    tokens: int = 10_000,
    noise: float = 0.05,
    dtype: str = "bfloat16",
    roundings: int = 1,
    repetitions: int = 200,
    seed: int = 0,
    spread: float = 0.0,
    control_tokens: int | None = None,
) -> Planted:
    """Replace tokens of a greedy arm by the draft's choice and audit it at T = 0.

    Parameters
    ----------
    leaked
        Tokens per arm that the draft wrote; 0 for false alarms.
    tokens
        Per arm.
    noise
        Standard deviation of a score between two passes.
    dtype
        Whose rounding the band knows, a key of `ROUNDOFF`.
    roundings
        As for :func:`tais.stats.rounding_band.band`.
    repetitions, seed
        Simulated arms.
    spread
        Log-sd of the noise over positions; at each it is the same in all passes.
    control_tokens
        Of the control, drawn anew for each arm; None for as many as the arm's.

    Notes
    -----
    Scores of 24 tokens per position, Gaussian with standard deviation 3; the draft sees them with an error
    of standard deviation 1.5 and so agrees with the target's choice in about 56 % of the positions. Both
    passes see them with the noise.
    """
    random = np.random.RandomState(seed)
    found = []
    for _ in range(repetitions):
        own = tokens if control_tokens is None else control_tokens
        control, scale, _, _ = greedy_arm(random, own, noise, 0, spread)
        margin, _, where, pull = greedy_arm(random, tokens, noise, leaked, spread)
        eps = ROUNDOFF[dtype]
        limit = band(control[control > 0], eps, scale, roundings=roundings, tokens_ratio=tokens / own)
        outside = limit.outside(margin)
        bound = leak_upper_bound(tokens, int(outside.sum()), float(limit.outside(pull).mean()))
        visible = outside[where].mean() if leaked else math.nan
        found.append((outside.any(), visible, bound >= leaked / tokens, bound, limit.width))
    mean = np.array(found, np.float64).mean(axis=0)
    return Planted(*(float(x) for x in mean))


def greedy_arm(
    random: np.random.RandomState, tokens: int, noise: float, leaked: int, spread: float
) -> tuple[FloatArray, float, IntArray, FloatArray]:
    """Return margins of an arm, the scale of its best scores, where it leaked, and the draft's margins.

    Parameters as for :func:`planted_leaks`; the draft's margins are those of its own choices everywhere.
    """
    scores = 3 * random.standard_normal((tokens, 24))
    draft = (scores + 1.5 * random.standard_normal(scores.shape)).argmax(axis=1)
    size = noise * np.exp(spread * random.standard_normal((tokens, 1))) if spread else noise
    given = (scores + size * random.standard_normal(scores.shape)).argmax(axis=1)
    where = random.choice(tokens, leaked, replace=False)
    given[where] = draft[where]
    audited = scores + size * random.standard_normal(scores.shape)
    rows, best = np.arange(tokens), audited.max(axis=1)
    return best - audited[rows, given], float(best.mean()), where, best - audited[rows, draft]
