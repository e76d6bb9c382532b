"""The law from which each sampled token should have been drawn, on a partition of the vocabulary.

A row is one sampled token. Its *cells* are the k listed tokens and, last, the rest of the vocabulary. The
list must be known before the token is: fixed by the prefix, never by what was drawn. A server that adds the
drawn token to its top k gives k cells all the same, and a token outside them falls into the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tais.errors import TaisError
from tais.stats.proportions import FloatArray

__all__ = ["IntArray", "TokenLaws", "partition"]

IntArray = NDArray[np.int64]
_Number = TypeVar("_Number", np.float64, np.int64)

_ABOVE_ONE = 1e-4
"""How far listed probabilities may sum above 1: log-probabilities rounded to four decimals, or float32."""
_LEAST_REST = 1e-6
"""Below this, 1 - sum is rounding of float32 log-probabilities and no probability."""


@dataclass(frozen=True, slots=True)
class TokenLaws:
    """Sampled tokens in order, grouped by sample and prompt, each with the target's law on its cells."""

    listed_logprobs: FloatArray
    """Target log-probabilities after warping, shape (n, k); -inf for padding and for cut tokens."""
    given: IntArray
    """Cell of the sampled token, shape (n,); k is the rest."""
    cluster: IntArray
    """Prompt of the token, shape (n,); any integers."""
    sample: IntArray
    """Sample of the token, shape (n,); any integers."""
    draft_logprobs: FloatArray | None = None
    """The draft's log-probabilities of the same listed tokens, shape (n, k)."""
    rest_logprobs: FloatArray | None = None
    """Log-probability of the rest, shape (n,), where it is known exactly; -inf where nothing is left."""
    draft_rest_logprobs: FloatArray | None = None
    """The same for the draft."""
    scores: FloatArray | None = None
    """The caller's own score of every cell, shape (n, k + 1); for instance 1 on refusal-onset tokens."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.given)

    def checked(self) -> TokenLaws:
        """Return the laws with arrays of the stated types.

        Raises
        ------
        TaisError
            Where shapes disagree, a cell does not exist or a number is not one.
        """
        listed = _real(self.listed_logprobs, "listed_logprobs", None)
        if listed.ndim != 2 or listed.shape[1] == 0:
            raise TaisError(f"token laws need listed log-probabilities (n, k), not {listed.shape}")
        n, k = listed.shape
        own = _optional(self.scores, "scores", (n, k + 1))
        if own is not None and not np.isfinite(own).all():
            raise TaisError("token laws: a score is not finite")
        given = _whole(self.given, "given", n)
        if n and not (given.min() >= 0 and given.max() <= k):
            raise TaisError(f"token laws: the cell of a token lies outside 0..{k}")
        return TokenLaws(
            listed,
            given,
            _whole(self.cluster, "cluster", n),
            _whole(self.sample, "sample", n),
            _optional(self.draft_logprobs, "draft_logprobs", (n, k)),
            _optional(self.rest_logprobs, "rest_logprobs", (n,)),
            _optional(self.draft_rest_logprobs, "draft_rest_logprobs", (n,)),
            own,
        )

    def target(self) -> FloatArray:
        """Probabilities of the cells under the target, shape (n, k + 1); rows sum to 1."""
        return _cells(self.listed_logprobs, self.rest_logprobs, _LEAST_REST, "target")

    def draft(self) -> FloatArray | None:
        """Probabilities of the cells under the draft, shape (n, k + 1), where it has a law."""
        if self.draft_logprobs is None:
            return None
        return _cells(self.draft_logprobs, self.draft_rest_logprobs, 0.0, "draft")


def _real(values: ArrayLike, name: str, shape: tuple[int, ...] | None) -> FloatArray:
    array = np.asarray(values, np.float64)
    if np.isnan(array).any() or np.isposinf(array).any():
        raise TaisError(
            f"token laws: {name} holds NaN or +inf",
            remedy="the engine that scored the tokens returned no law for some of them; score them again",
        )
    return _shaped(array, name, shape)


def _optional(values: FloatArray | None, name: str, shape: tuple[int, ...]) -> FloatArray | None:
    return None if values is None else _real(values, name, shape)


def _whole(values: IntArray, name: str, n: int) -> IntArray:
    return _shaped(np.asarray(values, np.int64), name, (n,))


def _shaped(array: NDArray[_Number], name: str, shape: tuple[int, ...] | None) -> NDArray[_Number]:
    if shape is not None and array.shape != shape:
        raise TaisError(f"token laws: {name} has shape {array.shape}, not {shape}")
    return array


def _cells(listed: FloatArray, rest: FloatArray | None, floor: float, whose: str) -> FloatArray:
    probabilities = np.exp(listed)
    total = probabilities.sum(axis=1)
    left = np.maximum(1 - total, floor) if rest is None else np.exp(rest)
    off = total - 1 if rest is None else np.abs(total + left - 1)
    if len(off) and off.max() > _ABOVE_ONE:
        row = int(off.argmax())
        raise TaisError(
            f"the {whose}'s law of token {row} sums to {total[row] + (0 if rest is None else left[row]):.6g}",
            remedy="give log-probabilities after warping, each token once, in natural logarithms",
        )
    cells = np.concatenate([probabilities, left[:, None]], axis=1)
    return np.asarray(cells / cells.sum(axis=1, keepdims=True))


def partition(
    logprobs: FloatArray,
    tokens: IntArray,
    k: int,
    *,
    cluster: IntArray,
    sample: IntArray,
    draft_logprobs: FloatArray | None = None,
    token_scores: FloatArray | None = None,
) -> TokenLaws:
    """Laws on {the target's k most probable tokens, rest}, from log-probabilities of the whole vocabulary.

    Parameters
    ----------
    logprobs
        Target, after warping, shape (n, V).
    tokens
        What was sampled, shape (n,).
    k
        Listed tokens, at least 1; all of them where k >= V.
    cluster, sample
        Shape (n,).
    draft_logprobs
        Draft, after its own warping, shape (n, V).
    token_scores
        A score for every token of the vocabulary, shape (V,); in the rest a cell has the mean score under
        the target, so that what is known of the rest is used and the test stays exact.

    Returns
    -------
    TokenLaws
        With the mass of the rest summed, not subtracted.

    Raises
    ------
    TaisError
        Where there is nothing to list or a token lies outside the vocabulary.
    """
    logprobs = np.asarray(logprobs, np.float64)
    n, vocabulary = logprobs.shape
    k = min(k, vocabulary)
    if k < 1 or (n and not (tokens.min() >= 0 and tokens.max() < vocabulary)):
        raise TaisError("a partition needs k >= 1 and tokens inside the vocabulary")
    ids = _largest(logprobs, k)
    hit = ids == np.asarray(tokens)[:, None]
    draft = None if draft_logprobs is None else np.asarray(draft_logprobs, np.float64)
    scores = None
    if token_scores is not None:
        scores = _cell_scores(logprobs, ids, np.asarray(token_scores, np.float64))
    return TokenLaws(
        np.take_along_axis(logprobs, ids, axis=1),
        np.where(hit.any(axis=1), hit.argmax(axis=1), k).astype(np.int64),
        cluster,
        sample,
        None if draft is None else np.take_along_axis(draft, ids, axis=1),
        _rest(logprobs, ids),
        None if draft is None else _rest(draft, ids),
        scores,
    )


def _largest(logprobs: FloatArray, k: int) -> IntArray:
    """Ids of the k largest of each row, largest first; without sorting the vocabulary."""
    # Which of equal tokens make the list is arbitrary, but blind to the sampled one: the test stays exact.
    ids = np.sort(np.argpartition(-logprobs, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(logprobs, ids, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(ids, order, axis=1), np.int64)


def _outside(logprobs: FloatArray, ids: IntArray) -> FloatArray:
    probabilities = np.exp(logprobs)
    np.put_along_axis(probabilities, ids, 0.0, axis=1)
    return np.asarray(probabilities)


def _rest(logprobs: FloatArray, ids: IntArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(_outside(logprobs, ids).sum(axis=1)))


def _cell_scores(logprobs: FloatArray, ids: IntArray, token_scores: FloatArray) -> FloatArray:
    outside = _outside(logprobs, ids)
    mass = outside.sum(axis=1)
    rest = outside @ token_scores / np.where(mass > 0, mass, 1)
    return np.concatenate([token_scores[ids], rest[:, None]], axis=1)
