"""From logits to the law that tokens are drawn from, in the order in which vLLM warps them.

vLLM 0.32 (v1/sample/sampler.py): float32, temperature, min-p (a logits processor that leaves the argmax),
top-k, top-p, softmax. Penalties, biases and masks come before; they need more than one row's logits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["warp"]

_LEAST_TEMPERATURE = 0.01
"""vLLM raises a positive temperature below this to it (SamplingParams.__post_init__)."""
Ties = Literal["keep", "first"]
_Logits = NDArray[np.float32]


def warp(
    logits: FloatArray | _Logits,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    *,
    ties: Ties = "keep",
    slack: float = 0.0,
) -> FloatArray:
    """Log-probabilities of the next token after temperature, min-p, top-k and top-p.

    Parameters
    ----------
    logits
        Raw logits (log-probabilities serve as well), shape (n, V); -inf for tokens that are masked.
    temperature
        Above 0; below 0.01 it counts as 0.01, as in vLLM.
    top_k
        0 or -1 for none.
    top_p
        In (0, 1].
    min_p
        In [0, 1]; vLLM refuses it under speculation.
    ties
        Logits equal to the k-th: "keep" keeps them all (vLLM without Triton), "first" those of lowest id
        until there are k (vLLM's Triton kernel).
    slack
        Loosens every cut: by this much in the logits for top-k, in probability for top-p, relative for min-p.
        A token that is cut at slack 0 and kept at the slack of the numerical noise lies at the edge: no
        structural finding.

    Returns
    -------
    FloatArray
        Shape (n, V), -inf for tokens that are cut; each row's exponentials sum to 1.

    Raises
    ------
    TaisError
        At temperature 0, which has no law, for parameters outside their ranges, and for NaN.

    Notes
    -----
    Cuts are made in float32 like vLLM's; the law of what is left is computed in float64. The cumulative sum
    of top-p follows the CPU's (summed in float64, rounded to float32); a GPU's parallel sum may cut a token
    at the edge otherwise, and so may FlashInfer's sampler, which does not sort. Of equal logits at the top-p
    edge the lowest ids go first.
    """
    if not (temperature > 0 and top_k >= -1 and 0 < top_p <= 1 and 0 <= min_p <= 1 and slack >= 0):
        raise TaisError(
            f"no law at temperature {temperature}, top_k {top_k}, top_p {top_p}, min_p {min_p}",
            remedy="temperature 0 is audited by margins, not by conformance to a law",
        )
    x = np.array(logits, np.float32, ndmin=2)
    if np.isnan(x).any() or np.isposinf(x).any() or not np.isfinite(x).any(axis=1).all():
        raise TaisError("logits hold NaN or +inf, or a row without any token")
    x /= np.float32(max(temperature, _LEAST_TEMPERATURE))
    if min_p > 0:
        probability = _softmax(x)
        least = probability.max(axis=1, keepdims=True) * np.float32(min_p)
        x[probability < least * np.float32(1 - min(slack, 1))] = -np.inf
    if 0 < top_k < x.shape[1]:
        _cut_top_k(x, top_k, ties, slack)
    if top_p < 1:
        _cut_top_p(x, min(top_p + slack, 1.0))
    return _log_softmax(x)


def _cut_top_k(x: _Logits, k: int, ties: Ties, slack: float) -> None:
    kth = -np.partition(-x, k - 1, axis=1)[:, k - 1 : k]
    if ties == "keep" or slack > 0:
        x[x < kth - np.float32(slack)] = -np.inf
        return
    order = np.argsort(-x, axis=1, kind="stable")
    np.put_along_axis(x, order[:, k:], -np.inf, axis=1)


def _cut_top_p(x: _Logits, top_p: float) -> None:
    left = np.float32(1) - np.float32(top_p)
    for row, mass in zip(x, _softmax(x), strict=True):
        # All tokens this rare together stay below 1 - top_p: they are cut, and need no sorting.
        rare = mass <= 0.999 * left / len(mass)
        others = np.flatnonzero(~rare)
        ascending = others[np.argsort(row[others], kind="stable")]
        below = mass[rare].sum(dtype=np.float64)
        total = (below + np.cumsum(mass[ascending], dtype=np.float64)).astype(np.float32)
        cut = total <= left
        cut[-1] = False
        row[rare] = -np.inf
        row[ascending[cut]] = -np.inf


def _softmax(x: _Logits) -> _Logits:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def _log_softmax(x: _Logits) -> FloatArray:
    shifted = x.astype(np.float64) - x.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
