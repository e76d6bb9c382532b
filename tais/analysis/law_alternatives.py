"""Sampled tokens that do not follow their law, made ready to be held against other laws."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tais.rundir.audits import Scored
from tais.stats.conformance.alternatives import LawFit, ListedTokens, best_alternative
from tais.stats.conformance.laws import IntArray
from tais.stats.proportions import FloatArray

__all__ = ["Scores", "explain", "places"]

_MOST = 20_000
"""Tokens looked at: enough to tell laws apart, and few enough that rounding of the scores does not show."""
_MOST_CELLS = 4 << 20
"""Scores looked at: long lists, as of top-p, of fewer tokens (4,096 of 1,024 each; 32 MiB a law)."""


class Scores(NamedTuple):
    """One answer's scores, in the order of its tokens."""

    target: Scored
    draft: Scored | None
    cluster: int


def explain(
    answers: Iterable[Scores],
    cut: Callable[[FloatArray], FloatArray] | None,
    drafted: Callable[[IntArray, Scored], FloatArray],
    seed: int,
) -> LawFit | None:
    """Return the alternative that explains the tokens of some answers best.

    Parameters
    ----------
    answers
        In an order that no token has a say in.
    cut
        Cuts listed log-probabilities, shape (n, k), as top-k and top-p do; None where nothing is cut.
    drafted
        Returns the draft's log-probabilities of ids, shape (n, k).
    seed
        Of the test.

    Returns
    -------
    LawFit or None
        None where there is no token to look at, or nothing is more likely than the law asked for.
    """
    parts: list[ListedTokens] = []
    tokens = cells = 0
    for answer in answers:
        if len(answer.target.tokens):
            parts.append(_listed(answer, cut, drafted))
            tokens += len(answer.target.tokens)
            cells += answer.target.top_scores.size
        if tokens >= _MOST or cells >= _MOST_CELLS:
            break
    return best_alternative(_joined(parts), seed) if any(map(len, parts)) else None


def _listed(
    answer: Scores,
    cut: Callable[[FloatArray], FloatArray] | None,
    drafted: Callable[[IntArray, Scored], FloatArray],
) -> ListedTokens:
    target = answer.target
    ids = target.top_tokens.astype(np.int64)
    scores = target.top_scores.astype(np.float64)
    hit = ids == target.tokens.astype(np.int64)[:, None]
    listed = hit.any(axis=1)
    asked = scores if cut is None else cut(scores)
    whole = np.full(int(listed.sum()), 1, dtype=np.int64)
    return ListedTokens(
        asked=asked[listed],
        given=hit.argmax(axis=1).astype(np.int64)[listed],
        cluster=answer.cluster * whole,
        sample=target.key.repeat * whole,
        uncut=None if cut is None else scores[listed],
        draft=None if answer.draft is None else drafted(ids, answer.draft)[listed],
        before=_before(ids, scores, asked)[listed],
        unlisted=int((~listed).sum()),
        # What a cut leaves is listed.
        expected=_outside(scores) if cut is None else 0.0,
        expected_uncut=_outside(scores),
        expected_drafted=0.0 if answer.draft is None else _outside(drafted(ids, answer.draft)),
    )


def _outside(logprobs: FloatArray) -> float:
    """Return how many tokens a law puts outside of its rows, in all."""
    return float(np.maximum(1 - np.exp(logprobs).sum(axis=1), 0).sum())


def _before(ids: IntArray, scores: FloatArray, asked: FloatArray) -> FloatArray:
    """Return what the law of the token before says of each list; the first row keeps its own law.

    What that law does not list is no more likely than the last that it does, and taken to be so likely.
    """
    found = asked.copy()
    if len(ids) > 1:
        at, same = places(ids[1:], ids[:-1])
        known = np.take_along_axis(scores[:-1], at, axis=1)
        least = scores[:-1].min(axis=1, keepdims=True)
        found[1:] = np.where(same, known, least)
    return found


def _joined(parts: list[ListedTokens]) -> ListedTokens:
    """Return several answers as one; lists of unlike length are padded with what cannot be."""
    width = max(part.asked.shape[1] for part in parts)

    def laws(found: list[FloatArray | None]) -> FloatArray | None:
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        padded = [
            np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=-np.inf) for each in known
        ]
        return np.concatenate(padded)

    asked = laws([part.asked for part in parts])
    assert asked is not None
    return ListedTokens(
        asked=asked,
        given=np.concatenate([part.given for part in parts]),
        cluster=np.concatenate([part.cluster for part in parts]),
        sample=np.concatenate([part.sample for part in parts]),
        uncut=laws([part.uncut for part in parts]),
        draft=laws([part.draft for part in parts]),
        before=laws([part.before for part in parts]),
        unlisted=sum(part.unlisted for part in parts),
        expected=sum(part.expected for part in parts),
        expected_uncut=sum(part.expected_uncut for part in parts),
        expected_drafted=sum(part.expected_drafted for part in parts),
    )


def places(ids: IntArray, listed: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Return where each id stands among those listed in the same row, and whether it does; (n, k), (n, m)."""
    n = len(listed)
    rows = (np.arange(n) * (1 + max(int(ids.max(initial=0)), int(listed.max(initial=0)))))[:, None]
    # Rows as ranges of numbers, so that one sort serves all.
    order = np.argsort(listed, axis=1)
    known = (np.take_along_axis(listed, order, axis=1) + rows).ravel()
    place = np.minimum(np.searchsorted(known, (ids + rows).ravel()), max(len(known) - 1, 0))
    found = (known[place] == (ids + rows).ravel()).reshape(ids.shape)
    at = order.ravel()[place].reshape(ids.shape)
    return np.where(found, at, 0), found
