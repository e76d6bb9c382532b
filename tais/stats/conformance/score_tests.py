"""Martingale z-tests that a score of the sampled token has the mean that the target's law gives it.

Given its prefix, a token of a lossless stack has the target's law p. For any score s that the prefix fixes,
the sums of s(token) - E_p s are then a martingale with known conditional variance, whatever the lengths, the
prompts and the dependence between tokens; Z = sum(s - E_p s) / sqrt(sum Var_p s) is standard normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tais.errors import TaisError
from tais.stats.conformance.laws import IntArray
from tais.stats.multiplicity import holm
from tais.stats.proportions import FloatArray, normal_quantile

__all__ = ["CLIP", "Drift", "ScoreTest", "cell_ratios", "cell_scores", "excess_tests", "score_tests"]

CLIP = 3.0
"""Bound of log q/p: one token never moves a sum by more than e^3, so the normal law holds early."""
_LONGEST_SURPRISE = 12.0


@dataclass(frozen=True, slots=True)
class Drift:
    """Sums of one score over the tokens so far."""

    n: int = 0
    total: float = 0.0
    """Sum of s(token) - E_p s."""
    variance: float = 0.0
    """Sum of Var_p s."""

    def add(self, p: FloatArray, score: FloatArray, given: IntArray) -> Drift:
        """Return the sums with these tokens; p and score of shape (n, cells), given of shape (n,)."""
        mean = np.einsum("ij,ij->i", p, score)
        centred = score - mean[:, None]
        variance = np.einsum("ij,ij,ij->", p, centred, centred)
        moved = np.take_along_axis(centred, given[:, None], axis=1).sum()
        return Drift(self.n + len(given), self.total + float(moved), self.variance + float(variance))

    @property
    def z(self) -> float:
        """Standard normal under the target's law; 0 where no token could have moved the sum."""
        return self.total / math.sqrt(self.variance) if self.variance > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """One z-test."""

    name: str
    n: int
    mean_drift: float
    """Mean of s(token) - E_p s per token."""
    z: float
    p: float
    """Two-sided."""
    p_holm: float
    """Adjusted for all scores of the same run."""
    drift: Drift = field(repr=False)

    @property
    def detectable(self) -> float | None:
        """Mean drift per token that a two-sided test at 5 % finds with power 0.9; None without variance."""
        if not (self.n and self.drift.variance > 0):
            return None
        return (normal_quantile(0.95) + normal_quantile(0.8)) * math.sqrt(self.drift.variance) / self.n


def cell_ratios(p: FloatArray, q: FloatArray) -> FloatArray:
    """Ratios q / p of the cells, same shape; +inf where only p is 0 and 1 where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = q / p
    return np.where((p == 0) & (q == 0), 1.0, ratio)


def cell_scores(p: FloatArray, q: FloatArray | None, own: FloatArray | None = None) -> dict[str, FloatArray]:
    """Scores of every cell, each of the shape of p, (n, cells).

    Parameters
    ----------
    p, q
        Target and draft probabilities of the cells; q None where the draft has no law.
    own
        The caller's scores (refusal-onset tokens, say).

    Returns
    -------
    dict
        ``argmax``: 1 on the most probable listed cells (all of them in a tie). ``surprise``: -log p, at most
        12; sees a wrong temperature. With a draft ``draft_ratio``: log q/p clipped at +/- 3, and ``leak``:
        q/p clipped at e^3, the efficient score of a leak at e = 0 but for the clip. ``own``.
    """
    listed = p[:, :-1]
    top = np.zeros_like(p)
    top[:, :-1] = (listed == listed.max(axis=1, keepdims=True)) & (listed > 0)
    surprise = np.minimum(-np.log(np.maximum(p, math.exp(-_LONGEST_SURPRISE))), _LONGEST_SURPRISE)
    scores = {"argmax": top, "surprise": surprise}
    if q is not None:
        ratio = cell_ratios(p, q)
        bounded = np.clip(ratio, math.exp(-CLIP), math.exp(CLIP))
        scores |= {"draft_ratio": np.log(bounded), "leak": np.minimum(ratio, math.exp(CLIP))}
    return scores | ({} if own is None else {"own": own})


def score_tests(drifts: Mapping[str, Drift]) -> tuple[ScoreTest, ...]:
    """Z-tests of all scores of a run, with Holm's adjustment over them."""
    return _tests({name: (drift.z, drift) for name, drift in drifts.items()})


def excess_tests(candidate: Mapping[str, Drift], control: Mapping[str, Drift]) -> tuple[ScoreTest, ...]:
    """Test whether the candidate drifts per token beyond what the control arm drifts.

    The law that scores the tokens comes from another forward pass than the one that drew them, so at large n
    a correct engine drifts too; the reference arm, scored in the same way, shows by how much.

    Parameters
    ----------
    candidate, control
        Sums by score; scores that only one side has are left out.

    Returns
    -------
    tuple of ScoreTest
        z of the difference of the mean drifts, with the variance of both arms.

    Raises
    ------
    TaisError
        Where the arms share no score.

    Notes
    -----
    Arms that share random seeds are positively dependent, which makes the test conservative.
    """
    found: dict[str, tuple[float, Drift]] = {}
    for name in candidate.keys() & control.keys():
        a, c = candidate[name], control[name]
        if not (a.n and c.n):
            raise TaisError("a comparison with the control needs tokens in both arms")
        difference = a.total / a.n - c.total / c.n
        variance = a.variance / a.n**2 + c.variance / c.n**2
        excess = Drift(a.n, difference * a.n, variance * a.n**2)
        found[name] = (excess.z, excess)
    if not found:
        raise TaisError("candidate and control share no score")
    return _tests({name: found[name] for name in candidate if name in found})


def _tests(found: Mapping[str, tuple[float, Drift]]) -> tuple[ScoreTest, ...]:
    p = [math.erfc(abs(z) / math.sqrt(2)) for z, _ in found.values()]
    return tuple(
        ScoreTest(name, drift.n, drift.total / drift.n, z, one, float(adjusted), drift)
        for (name, (z, drift)), one, adjusted in zip(found.items(), p, holm(p), strict=True)
    )
