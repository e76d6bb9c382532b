"""The threshold lies between right and wrong tokens; where they overlap, it stops at no wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from tais.lab.leak.attack import Attack
from tais.lab.leak.defence import Defence, Permutation
from tais.lab.leak.threshold import Trace, choose, find_threshold, sample_prompts
from tais.lab.packages import torch
from tests.lab.leak.tiny import random_model, random_prompts

# Importing transformers alone takes longer than a unit test may; CI runs the file all the same.
pytestmark = pytest.mark.slow


def trace(*seen: tuple[float, int], wrong: float) -> Trace:
    tried = np.array([16.0 * batches for batches in range(1, len(seen) + 1)], np.float64)
    return Trace(np.array([d for d, _ in seen]), np.array([r * 1.0 for _, r in seen]), tried, wrong)


def test_threshold_is_the_geometric_middle_between_right_and_wrong() -> None:
    traces = [trace((4.0, 0), (0.01, 1), (0.01, 1), wrong=4.0), trace((0.0, 1), (0.0, 1), wrong=9.0)]
    found = choose(traces)
    # sqrt(0.01 * 4): above every right distance, below every wrong one.
    assert found.threshold == pytest.approx(0.2)
    assert found.recovered == 1
    # The second batch of the first position, the first batch of the second.
    assert found.tried == (32 + 16) / 2


def test_equal_states_leave_room_for_rounding() -> None:
    found = choose([trace((0.0, 1), wrong=5.0)])
    assert 0 < found.threshold < 5


def test_where_right_and_wrong_overlap_everything_is_tried() -> None:
    # The wrong token lies nearer than the right one ever does.
    found = choose([trace((3.0, 0), (2.0, 0), wrong=2.0), trace((6.0, 0), (5.0, 1), wrong=6.0)])
    assert found.threshold < 2
    assert found.recovered == 0.5
    assert found.tried == 32


def test_without_a_second_token_the_threshold_stands_above_the_right_one() -> None:
    assert choose([trace((0.5, 1), wrong=np.inf)]).threshold > 0.5


@pytest.mark.parametrize("kind", list(Permutation))
def test_a_threshold_from_held_out_prompts_reads_others(kind: Permutation) -> None:
    model = random_model(vocabulary=200)
    defence = Defence(kind)
    attack = Attack(model, 2, defence, proposal=model)
    held_out = sample_prompts(attack, (), 2, 8, seed=4)
    assert held_out == sample_prompts(attack, (), 2, 8, seed=4)
    received = [
        (t, defence.apply(model.states(t, [2])[2], torch.Generator().manual_seed(i)))
        for i, t in enumerate(held_out)
    ]
    found = find_threshold(attack, received, (), 12)
    assert found.positions == 12
    assert found.recovered == 1
    (tokens,) = random_prompts(model, 1, 8)
    states = defence.apply(model.states(tokens, [2])[2], torch.Generator().manual_seed(9))
    read = Attack(model, 2, defence, found.threshold, model).recover(states)
    assert list(read.tokens) == tokens
    assert read.unmatched == 0
    # It stopped early: the whole vocabulary was not needed for every token.
    assert min(m.tried for m in read.matches) < model.vocabulary


def test_a_sampled_prompt_begins_with_what_is_known() -> None:
    model = random_model()
    assert all(p[:2] == (5, 6) for p in sample_prompts(Attack(model, 0), (5, 6), 3, 6, seed=0))
