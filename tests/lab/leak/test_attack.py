"""The attack on random transformers, where nothing is learnt and everything must still be read."""

from __future__ import annotations

import pytest

from tais.lab.leak.attack import Attack
from tais.lab.leak.defence import Defence, Permutation, quantise
from tais.lab.leak.matching import chunks
from tais.lab.leak.model import LeakModel
from tais.lab.leak.walk import Walk
from tais.lab.packages import torch
from tests.lab.leak.tiny import attack_prompt, random_model, random_prompts, share_read

# Importing transformers alone takes longer than a unit test may; CI runs the file all the same.
pytestmark = pytest.mark.slow

KINDS = list(Permutation)
SHAPES = [("llama", 60, 1), ("llama", 1000, 2), ("llama", 60, 4), ("gpt2", 60, 2)]


@pytest.mark.parametrize(("family", "vocabulary", "layers"), SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_permutation_is_read_without_an_error(
    family: str, vocabulary: int, layers: int, kind: Permutation
) -> None:
    model = random_model(family, vocabulary, layers)
    prompts = random_prompts(model, 2, 8)
    found = [attack_prompt(model, tokens, layers, Defence(kind), proposal=model) for tokens in prompts]
    assert share_read(found, prompts) == 1
    assert sum(r.unmatched for r in found) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_read(kind: Permutation) -> None:
    model = random_model(layers=4)
    (tokens,) = random_prompts(model, 1, 8)
    for layer in range(1, 5):
        assert list(attack_prompt(model, tokens, layer, Defence(kind)).tokens) == tokens


def test_shuffled_rows_before_the_first_block_keep_the_tokens_and_lose_their_order() -> None:
    # A rotary model's layer 0 is the embedding: no position is in it yet.
    model = random_model()
    (tokens,) = random_prompts(model, 1, 10)
    read = attack_prompt(model, tokens, 0, Defence(Permutation.sequence)).tokens
    assert sorted(read) == sorted(tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_tokens_are_told_apart_by_their_position(kind: Permutation) -> None:
    model = random_model("gpt2")
    tokens = [7, 7, 7, 9, 9, 7, 7, 9]
    found = attack_prompt(model, tokens, 2, Defence(kind))
    assert list(found.tokens) == tokens
    assert sorted(m.row for m in found.matches) == list(range(8))


def test_a_last_batch_that_is_not_full_is_tried_whole() -> None:
    # 61 candidates in batches of at most 7: the token with the highest id stands alone in the last one.
    model = random_model(vocabulary=61)
    assert [len(c) for c in chunks(torch.arange(61), 7)] == [7] * 8 + [5]
    tokens = [60, 59, 60, 0]
    found = attack_prompt(model, tokens, 2, Defence(Permutation.both), threshold=0.0, rows=7)
    assert list(found.tokens) == tokens
    assert [m.tried for m in found.matches] == [61] * 4


def test_known_tokens_are_skipped_and_their_shuffled_rows_are_used_up() -> None:
    model = random_model()
    (tokens,) = random_prompts(model, 1, 9)
    states = model.states(tokens, [2])[2]
    defence = Defence(Permutation.both)
    attack = Attack(model, 2, defence, 1e-2)
    received = defence.apply(states, torch.Generator().manual_seed(1))
    found = attack.recover(received, tokens[:3])
    assert list(found.tokens) == tokens
    assert len(found.matches) == 6
    assert len({m.row for m in found.matches}) == 6


def test_no_match_is_said_and_the_nearest_token_is_taken() -> None:
    model, other = random_model(seed=0), random_model(seed=5)
    (tokens,) = random_prompts(model, 1, 6)
    states = other.states(tokens, [2])[2]
    found = Attack(model, 2, threshold=1e-2).recover(states)
    assert found.unmatched == 6
    assert len(found.tokens) == 6
    assert all(m.tried == model.vocabulary for m in found.matches)


def test_states_of_candidates_that_are_not_finite_never_match() -> None:
    model = random_model()
    with torch.no_grad():
        model.model.get_input_embeddings().weight[5] = torch.nan
    tokens = [3, 9, 4]
    found = attack_prompt(model, tokens, 2, Defence(Permutation.hidden), threshold=0.0)
    assert list(found.tokens) == tokens


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_shared_prefix_gives_what_a_forward_pass_without_a_cache_gives(family: str) -> None:
    model = random_model(family, layers=3)
    (tokens,) = random_prompts(model, 1, 6)
    ids = torch.tensor([4, 8, 15, 16, 23])
    for layer in range(4):
        walk = Walk(model, layer, 8, 8, logits=False)
        for token in tokens:
            walk.extend(token)
        for rows in (ids, ids[:2]):  # a smaller batch after a larger one
            plain = torch.stack([model.states([*tokens, int(v)], [layer])[layer][-1] for v in rows])
            torch.testing.assert_close(walk.candidates(rows), plain, rtol=1e-4, atol=1e-4)


def test_own_scores_of_the_next_token_are_those_of_the_model() -> None:
    model = random_model()
    (tokens,) = random_prompts(model, 1, 6)
    walk = Walk(model, 1, 4, 8, logits=True)
    for token in tokens:
        walk.extend(token)
    with torch.inference_mode():
        plain = model.model(model.ids(tokens)).logits[0, -1]
    torch.testing.assert_close(walk.logits, plain, rtol=1e-4, atol=1e-4)


def _tried(model: LeakModel, proposal: LeakModel | None, tokens: list[int]) -> float:
    found = attack_prompt(model, tokens, 2, Defence(), proposal=proposal)
    assert list(found.tokens) == tokens
    tried = [m.tried for m in found.matches[1:]]
    return sum(tried) / len(tried)


def _likely(model: LeakModel, length: int) -> list[int]:
    """A prompt that the model itself would write."""
    tokens = [3]
    for _ in range(length - 1):
        with torch.inference_mode():
            tokens.append(int(model.model(model.ids(tokens)).logits[0, -1].argmax()))
    return tokens


def test_cost_grows_with_candidates_tried_and_not_with_the_vocabulary_when_the_proposal_is_good() -> None:
    small, large = random_model(vocabulary=100), random_model(vocabulary=1000)
    good = [_tried(m, m, _likely(m, 8)) for m in (small, large)]
    assert good == [16, 16]
    plain = [_tried(m, None, [3, *[m.vocabulary - 2] * 4]) for m in (small, large)]
    assert plain == [100, 1000]


def test_another_model_can_order_the_candidates() -> None:
    model, proposal = random_model(vocabulary=300), random_model(vocabulary=200, seed=9)
    tokens = _likely(proposal, 6)
    assert _tried(model, proposal, tokens) == 16
    # Tokens that the proposal does not know come last and are still found.
    assert _tried(model, proposal, [3, 250, 4, 290]) > 16


def test_noise_and_permutation_together_hide_far_more_than_either() -> None:
    # Same shape as a numpy reference (vocabulary 60, width 32, 2 layers): at a noise of 1 it read 0.99 of
    # the tokens as they are, all with shuffled rows, 0.115 with sorted rows and 0.045 with both.
    model = random_model("gpt2")
    prompts = random_prompts(model, 6, 8)

    def read(kind: Permutation, noise: float) -> float:
        defence = Defence(kind, noise)
        found = [
            attack_prompt(model, tokens, 2, defence, threshold=0.0, seed=7 + i)
            for i, tokens in enumerate(prompts)
        ]
        return share_read(found, prompts)

    rms = model.states(prompts[0], [2])[2].pow(2).mean().sqrt().item()
    table = {kind: [read(kind, s * rms) for s in (0.03, 0.3)] for kind in KINDS}
    assert [table[kind][0] for kind in KINDS] == [1, 1, 1, 1]
    assert table[Permutation.none][1] > 0.95
    assert table[Permutation.sequence][1] > 0.9
    assert table[Permutation.hidden][1] < 0.3
    assert table[Permutation.both][1] < 0.15


def test_bits_alone_hide_nothing_from_a_host_that_knows_the_grid() -> None:
    model = random_model()
    (tokens,) = random_prompts(model, 1, 8)
    for kind in KINDS:
        assert list(attack_prompt(model, tokens, 2, Defence(kind, bits=4), threshold=0.0).tokens) == tokens


def test_quantised_rows_lie_on_their_grid() -> None:
    states = torch.tensor([[1.0, -0.5, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # 3 bits: 7 levels, thirds of the largest magnitude.
    expected = torch.tensor([[1.0, -2 / 3, 1 / 3, 0.0], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(quantise(states, 3), expected)


def test_permutations_shuffle_and_change_no_number() -> None:
    states = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    rows = Defence(Permutation.sequence).apply(states, torch.Generator().manual_seed(2))
    columns = Defence(Permutation.hidden).apply(states, torch.Generator().manual_seed(2))
    assert {tuple(r) for r in rows.tolist()} == {tuple(r) for r in states.tolist()}
    assert {tuple(c) for c in columns.T.tolist()} == {tuple(c) for c in states.T.tolist()}
    assert not torch.equal(rows, states)
    assert not torch.equal(columns, states)
