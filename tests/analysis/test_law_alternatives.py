"""Which law drifting tokens are said to fit: planted ones are named, and what was not planted is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tais.analysis import law_alternatives
from tais.analysis.law_alternatives import Scores, explain, places
from tais.analysis.token_law import Warp, _draft_cells, _warped
from tais.rundir.audits import AuditKey, Scored
from tais.stats.conformance.alternatives import COLDEST, LawFit
from tests.analysis.test_token_law import Floats, draw, softmax_log

VOCABULARY, LISTED, LENGTH, ANSWERS = 100, 20, 40, 100
ASKED = 0.8


def spans(logprobs: Floats, tokens: NDArray[np.int64], k: int) -> list[Scored]:
    """What an engine lists of answers of equal length."""
    ids = np.argsort(-logprobs, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(logprobs, ids, axis=1).astype(np.float32)
    given = np.take_along_axis(logprobs, tokens[:, None], axis=1)[:, 0].astype(np.float32)
    cuts = [slice(first, first + LENGTH) for first in range(0, len(tokens), LENGTH)]
    return [
        Scored(
            AuditKey("arm", "b", f"i{number}", 0, 0),
            True,
            tokens[cut].astype(np.int32),
            given[cut],
            ids[cut].astype(np.int32),
            best[cut],
        )
        for number, cut in enumerate(cuts)
    ]


class Drawn:
    """A target, a draft, and what other laws than the one asked for would draw."""

    def __init__(self, seed: int, warp: Warp = Warp()) -> None:  # noqa: B008
        self.rng = np.random.default_rng(seed)
        self.warp = warp
        logits = 2.5 * self.rng.standard_normal((LENGTH * ANSWERS, VOCABULARY))
        self.logits = logits
        self.asked = softmax_log(logits / ASKED)
        self.draft = softmax_log((logits + 2 * self.rng.standard_normal(logits.shape)) / ASKED)

    def at(self, temperature: float) -> NDArray[np.int64]:
        return draw(softmax_log(self.logits / temperature), self.rng)

    def some(self, share: float, other: NDArray[np.int64]) -> NDArray[np.int64]:
        mask = self.rng.random(len(other)) < share
        return np.where(mask, other, draw(self.asked, self.rng))

    def explained(self, tokens: NDArray[np.int64]) -> LawFit | None:
        targets, drafts = spans(self.asked, tokens, LISTED), spans(self.draft, tokens, 4 * LISTED)
        answers = [Scores(t, d, n) for n, (t, d) in enumerate(zip(targets, drafts, strict=True))]
        cut = (lambda s: _warped(s, self.warp, 0.0)[0]) if self.warp.cuts else None
        return explain(answers, cut, lambda ids, d: _draft_cells(ids, d, greedy=False)[0], 1)


@pytest.mark.parametrize("seed", range(2))
def test_planted_laws_are_named(seed: int) -> None:
    made = Drawn(seed)
    hot = made.explained(made.at(1.3))
    assert hot is not None
    assert (hot.name, hot.share, hot.fits) == ("temperature", 1.0, True)
    assert hot.temperature is not None
    assert hot.temperature * ASKED == pytest.approx(1.3, rel=0.03)

    best = made.explained(made.logits.argmax(axis=1))
    assert best is not None
    assert best.name == "temperature"
    assert best.temperature == pytest.approx(COLDEST, rel=0.1)

    drafted = made.explained(made.some(0.3, draw(made.draft, made.rng)))
    assert drafted is not None
    assert (drafted.name, drafted.fits) == ("draft", True)
    assert drafted.share == pytest.approx(0.3, abs=0.06)

    stale = np.roll(made.asked, 1, axis=0)
    stale[::LENGTH] = made.asked[::LENGTH]
    before = made.explained(draw(stale, made.rng))
    assert before is not None
    assert before.name == "place_before"

    half = made.explained(made.some(0.5, made.at(4.0)))
    assert half is not None
    assert (half.name, half.fits) == ("temperature", True)
    # Shares are among the tokens that the target lists, of which a hot law draws few.
    listed = [np.sort(np.exp(softmax_log(made.logits / t)))[:, -LISTED:].sum() for t in (4.0, ASKED)]
    assert half.share == pytest.approx(listed[0] / sum(listed), abs=0.05)


def test_a_cut_that_was_not_made_is_named() -> None:
    made = Drawn(5, Warp(top_k=5))
    found = made.explained(draw(made.asked, made.rng))
    assert found is not None
    assert (found.name, found.share, found.fits) == ("uncut", 1.0, True)


def test_what_was_not_tried_is_not_said_to_fit() -> None:
    made = Drawn(6)
    # Every list read in reverse: the least likely listed token where the likeliest was drawn.
    order = np.argsort(-made.asked, axis=1, kind="stable")[:, :LISTED]
    ranks = np.minimum((made.rng.random(len(order)) * 6).astype(int), LISTED - 1)
    odd = np.take_along_axis(order, (5 + ranks)[:, None], axis=1)[:, 0]
    found = made.explained(odd)
    assert found is None or not found.fits


def test_the_law_asked_for_needs_no_other() -> None:
    said = [Drawn(seed).explained(Drawn(seed).at(ASKED)) for seed in range(10, 18)]
    # Schwarz's criterion at 4,000 tokens: a second law is preferred by chance now and then.
    assert sum(found is not None for found in said) <= 1


def test_ids_are_found_in_their_own_row() -> None:
    rng = np.random.default_rng(7)
    listed = np.array([rng.permutation(30)[:12] for _ in range(20)])
    ids = rng.integers(0, 40, (20, 9))
    at, found = places(ids, listed)
    for row in range(20):
        own = listed[row].tolist()
        assert found[row].tolist() == [token in own for token in ids[row].tolist()]
        assert all(own[at[row, c]] == ids[row, c] for c in np.flatnonzero(found[row]))


def test_of_long_lists_fewer_tokens_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Drawn(0)
    hot = made.at(1.3)
    whole = made.explained(hot)
    monkeypatch.setattr(law_alternatives, "_MOST_CELLS", 30 * LENGTH * LISTED)
    fewer = made.explained(hot)
    assert whole is not None
    assert fewer is not None
    assert (whole.tokens, fewer.tokens) == (ANSWERS * LENGTH, 30 * LENGTH)
    assert fewer.name == whole.name
