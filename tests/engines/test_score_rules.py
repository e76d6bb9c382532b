"""What settings do to scores, against vLLM's and transformers' own code."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.common.foreign import hide_broken_packages
from tais.engines.score_rules import RULED_OUT, ScoreRules, listed_under_rules, stop_found
from tais.manifest.sampling import Sampling
from tais.records import Message, Request, SampleKey, ScoreRequest, TokenScores

# Imports of torch and its friends warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore")

V = 12
HAS_VLLM = importlib.util.find_spec("vllm") is not None
numbers = st.lists(st.integers(0, V - 1), max_size=6)
raw = st.lists(st.floats(-8, 8, width=32), min_size=V, max_size=V)


def spelled(text: str) -> list[int]:
    """Letters a, b, ... as ids 0, 1, ...; a blank before makes one token of the two."""
    return [ord(text[1]) - ord("a") + 6, *map(_id, text[2:])] if text[:1] == " " else [*map(_id, text)]


def _id(letter: str) -> int:
    return ord(letter) - ord("a")


def whole(sampling: Sampling, prompt: Sequence[int], said: Sequence[int], scores: Sequence[float]) -> Any:
    return ScoreRules(sampling, [3], spelled).apply(prompt, said, np.arange(V), scores)


@given(prompt=numbers, said=numbers, scores=raw, penalty=st.floats(0.5, 2), bias=st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_only_touched_tokens_change(
    prompt: list[int], said: list[int], scores: list[float], penalty: float, bias: float
) -> None:
    sampling = Sampling(
        repetition_penalty=penalty,
        frequency_penalty=0.5,
        logit_bias={"4": bias},
        bad_words=("ab",),
        min_tokens=3,
    )
    rules = ScoreRules(sampling, [3], spelled)
    found = rules.apply(prompt, said, np.arange(V), scores)
    untouched = np.setdiff1d(np.arange(V), rules.touched(prompt, said))
    assert (found[untouched] == np.array(scores)[untouched]).all()


@pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed")
@pytest.mark.engine
def test_scores_are_those_of_vllms_own_sampler() -> None:
    hide_broken_packages()
    import torch
    from vllm.v1.sample.ops.bad_words import apply_bad_words
    from vllm.v1.sample.ops.penalties import apply_all_penalties

    draws = np.random.default_rng(5)
    for _ in range(40):
        prompt, said = draws.integers(0, V, 5).tolist(), draws.integers(0, V, 4).tolist()
        scores = draws.normal(0, 3, V).astype(np.float32)
        values = {"presence_penalty": 0.7, "frequency_penalty": -0.4, "repetition_penalty": 1.3}
        words = [[int(said[-1]), 5], [2], [1, 1, 1]]
        logits = torch.tensor(scores)[None]
        apply_bad_words(logits, {0: words}, [said])
        asked = [torch.tensor([value]) for value in values.values()]
        logits = apply_all_penalties(logits, torch.tensor([prompt]), *asked, [said])
        rules = ScoreRules(Sampling(**values), [], spelled)
        rules.words = words
        mine = rules.apply(prompt, said, np.arange(V), scores)
        theirs = logits[0].numpy()
        out = np.isneginf(theirs)
        assert (mine[out] == RULED_OUT).all()
        assert mine[~out] == pytest.approx(theirs[~out], abs=1e-5)


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    hide_broken_packages()
    import torch
    from transformers import RepetitionPenaltyLogitsProcessor

    draws = np.random.default_rng(7)
    for _ in range(20):
        prompt, said = draws.integers(0, V, 5).tolist(), draws.integers(0, V, 4).tolist()
        scores = draws.normal(0, 3, V).astype(np.float32)
        theirs = RepetitionPenaltyLogitsProcessor(1.7)(
            torch.tensor([[*prompt, *said]]), torch.tensor(scores)[None].clone()
        )
        mine = whole(Sampling(repetition_penalty=1.7), prompt, said, scores.tolist())
        assert mine == pytest.approx(theirs[0].numpy(), abs=1e-5)


def test_words_are_ruled_out_where_they_would_be_completed() -> None:
    sampling = Sampling(bad_words=("abc", "e"))
    flat = [0.0] * V
    assert np.flatnonzero(whole(sampling, [], [0, 1], flat) == RULED_OUT).tolist() == [2, 4, 10]
    # Neither a prefix in the prompt, nor one that was interrupted.
    assert np.flatnonzero(whole(sampling, [0, 1], [], flat) == RULED_OUT).tolist() == [4, 10]
    assert np.flatnonzero(whole(sampling, [], [0, 5], flat) == RULED_OUT).tolist() == [4, 10]


def test_ends_are_ruled_out_until_there_are_enough_tokens() -> None:
    sampling = Sampling(min_tokens=2, stop_token_ids=(7,), ignore_eos=True)
    flat = [0.0] * V
    assert np.flatnonzero(whole(sampling, [], [1], flat)).tolist() == [3, 7]
    assert np.flatnonzero(whole(sampling, [], [1, 1], flat)).tolist() == []


def test_a_stop_string_counts_behind_the_least_tokens_only() -> None:
    sampling = Sampling(stop=("\n\n", "END"))
    assert stop_found("a\n\nb END", sampling) == (1, 3)
    # The first ends within the first three characters.
    assert stop_found("a\n\nb END", sampling, 3) == (5, 8)
    assert stop_found("a\n\nb END", sampling, 2) == (1, 3)
    assert stop_found("none", sampling) is None


def listed(answer: tuple[int, ...], rows: list[list[tuple[int, float]]], given_: list[float]) -> TokenScores:
    request = Request(SampleKey("b", "i", 0), (Message("user", "x"),), 0)
    return TokenScores(
        ScoreRequest(request, answer, 0),
        "",
        np.array(given_, np.float32),
        np.array([[token for token, _ in row] for row in rows], np.int32),
        np.array([[score for _, score in row] for row in rows], np.float32),
    )


def test_a_list_is_ranked_again_and_ends_where_its_best_is_not_known() -> None:
    rows = [[(1, 9.0), (2, 8.5), (4, 4.0)], [(1, 9.0), (2, 8.5), (4, 8.4)]]
    scores = listed((1, 1), rows, [9.0, 9.0])
    rules = ScoreRules(Sampling(presence_penalty=2.0), [], spelled)
    found = listed_under_rules(scores, rules, [5])
    # First row: nothing was said yet. Second: 9 - 2 = 7 falls behind 8.5.
    assert found.top_tokens[:, 0].tolist() == [1, 2]
    assert found.given.tolist() == [9.0, 7.0]
    out = ScoreRules(Sampling(presence_penalty=2.0, logit_bias={"2": -50, "4": -50}), [], spelled)
    # All that is listed falls below 8.4, where tokens may lie that are not listed.
    assert len(listed_under_rules(scores, out, [5]).given) == 1
