"""Laws from listed scores: against full vocabularies, and exact whatever the lists leave out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tais.analysis.token_law import Warp, _coarser, edge_of, listed_laws
from tais.rundir.audits import AuditKey, Scored
from tais.stats.conformance.conformance import Conformance
from tests.oracles.vllm_warp import warp

VOCABULARY = 40
LISTED = 8
NO_EDGE = 0.0
Floats = NDArray[np.float64]


def softmax_log(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def scored(logprobs: Floats, tokens: NDArray[np.int64], k: int) -> Scored:
    """What an engine lists of these laws: the k best, in float32."""
    ids = np.argsort(-logprobs, axis=1, kind="stable")[:, :k]
    return Scored(
        AuditKey("arm", "b", "i", 0, 0),
        True,
        tokens.astype(np.int32),
        np.take_along_axis(logprobs, tokens[:, None], axis=1)[:, 0].astype(np.float32),
        ids.astype(np.int32),
        np.take_along_axis(logprobs, ids, axis=1).astype(np.float32),
    )


def draw(law: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    edges = np.cumsum(np.exp(law), axis=1)
    # Up to the last edge, which is 1 but for rounding: no token of probability 0 is drawn.
    tokens: NDArray[np.int64] = (rng.random(len(law))[:, None] * edges[:, -1:] >= edges).sum(axis=1)
    return tokens


@pytest.mark.parametrize(
    "rule",
    [Warp(), Warp(top_k=4), Warp(top_p=0.6), Warp(top_k=6, top_p=0.8), Warp(min_p=0.1), Warp(4, 0.8, 0.05)],
)
def test_listed_laws_are_those_of_the_whole_vocabulary(rule: Warp) -> None:
    rng = np.random.default_rng(1)
    logits = 3 * rng.standard_normal((200, VOCABULARY))
    # vLLM's order of cuts on all logits is the oracle (itself tested against vLLM).
    full = warp(logits, 1.0, rule.top_k, rule.top_p, rule.min_p)
    tokens = draw(full, rng)
    laws, kept = listed_laws(
        scored(softmax_log(logits), tokens, LISTED), None, rule, NO_EDGE, 0, 0, greedy=True
    )
    ids = np.argsort(-logits, axis=1, kind="stable")[:, :LISTED][kept]
    wanted = np.exp(np.take_along_axis(full[kept], ids, axis=1))
    assert kept.mean() > 0.5
    np.testing.assert_allclose(laws.target()[:, :-1], wanted, atol=2e-6)
    p = laws.target()[np.arange(len(laws)), laws.given]
    assert (p > 0).all()


@pytest.mark.parametrize("rule", [Warp(), Warp(top_k=5), Warp(top_p=0.7), Warp(min_p=0.2)])
@pytest.mark.parametrize("greedy", [True, False])
def test_correct_draws_are_not_flagged_more_often_than_the_level_says(rule: Warp, greedy: bool) -> None:
    rng = np.random.default_rng(7)
    found = []
    for seed in range(60):
        logits = 2 * rng.standard_normal((300, VOCABULARY))
        draft = softmax_log(logits + rng.standard_normal(logits.shape))
        tokens = draw(warp(logits, 1.0, rule.top_k, rule.top_p, rule.min_p), rng)
        target = scored(softmax_log(logits), tokens, LISTED)
        laws, _ = listed_laws(target, scored(draft, tokens, 2 * LISTED), rule, NO_EDGE, 0, 0, greedy=greedy)
        conformance = Conformance(seed)
        conformance.update(laws)
        result = conformance.result()
        assert result.impossible == 0
        found += [test.p for test in result.tests]
    # Four tests of each run are dependent; their p-values are uniform all the same.
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def test_draws_from_the_draft_are_found() -> None:
    rng = np.random.default_rng(3)
    logits = 2 * rng.standard_normal((4000, VOCABULARY))
    draft = softmax_log(logits + 2 * rng.standard_normal(logits.shape))
    leaked = rng.random(len(logits)) < 0.05
    tokens = np.where(leaked, draw(draft, rng), draw(softmax_log(logits), rng))
    target = scored(softmax_log(logits), tokens, LISTED)
    laws, _ = listed_laws(target, scored(draft, tokens, 4 * LISTED), Warp(), NO_EDGE, 0, 0, greedy=False)
    conformance = Conformance(0)
    conformance.update(laws)
    leak = conformance.result().leak
    assert leak is not None
    assert leak.lr_p < 1e-3
    assert leak.e == pytest.approx(0.05, abs=0.025)


def test_a_token_that_the_cut_excludes_is_impossible_but_not_at_its_edge() -> None:
    logprobs = np.log(np.array([[0.5, 0.3, 0.15, 0.05], [0.5, 0.3, 0.15, 0.05]]))
    target = scored(logprobs, np.array([1, 3]), 4)
    laws, kept = listed_laws(target, None, Warp(top_k=2), NO_EDGE, 0, 0, greedy=True)
    assert kept.all()
    assert list(laws.target()[[0, 1], laws.given]) == [pytest.approx(0.375), 0.0]
    # 0.3 and 0.05 lie 1.8 nats apart.
    _, kept = listed_laws(target, None, Warp(top_k=2), 2.0, 0, 0, greedy=True)
    assert list(kept) == [True, False]


@pytest.mark.parametrize(
    ("law", "given", "edge", "left_out"),
    [
        # 0.8 of the mass stands before token 2: log-odds 1.386, and the cut's are 1.099.
        ([0.5, 0.3, 0.15, 0.05], 2, 0.2, False),
        ([0.5, 0.3, 0.15, 0.05], 2, 0.3, True),
        # 0.95 before token 3: log-odds 2.944.
        ([0.5, 0.3, 0.15, 0.05], 3, 1.0, False),
        # Of three that tie, rounding says which stands first: 0.4 is sure to stand before.
        ([0.4, 0.2, 0.2, 0.2], 3, 1e-6, True),
    ],
)
def test_near_top_p_stands_what_rounding_could_have_kept(
    law: list[float], given: int, edge: float, left_out: bool
) -> None:
    target = scored(np.log(np.array([law])), np.array([given]), 4)
    laws, kept = listed_laws(target, None, Warp(top_p=0.75), edge, 0, 0, greedy=True)
    assert list(kept) == [not left_out]
    if not left_out:
        assert laws.target()[0, laws.given[0]] == 0.0


def test_rounding_of_both_passes_makes_no_token_impossible() -> None:
    """Tokens drawn in one pass, the law told by another; without an edge some lie outside of it."""
    rng = np.random.default_rng(5)
    logits = 3 * rng.standard_normal((20_000, VOCABULARY))
    # Four errors of 0.02 move two tokens apart by 0.04: an edge of 0.25 is six times as far.
    first, second = (softmax_log(logits + 0.02 * rng.standard_normal(logits.shape)) for _ in range(2))
    tokens = draw(warp(first, 1.0, 30, 0.9), rng)
    found = []
    for edge in (NO_EDGE, 0.25):
        told = scored(second, tokens, VOCABULARY)
        laws, _ = listed_laws(told, None, Warp(top_k=30, top_p=0.9), edge, 0, 0, greedy=True)
        found.append(int((laws.target()[np.arange(len(laws)), laws.given] == 0).sum()))
    assert found[0] > 10
    assert found[1] == 0


def test_the_coarsest_dtype_sets_the_edge_and_an_untold_one_is_coarse() -> None:
    assert _coarser("float32", "float16") == "float16"
    assert _coarser("bfloat16", "float16") == "bfloat16"
    assert _coarser("", "float32") == "unknown"
    assert edge_of("unknown", 0.5) == 2 * edge_of("bfloat16", 1.0) > edge_of("float16", 0.5)
