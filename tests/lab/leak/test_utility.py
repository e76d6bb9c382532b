"""What is left of a model whose states are changed on their way."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from tais.lab.leak.defence import Defence
from tais.lab.leak.utility import Passage, blur, generate, own_answers, perplexity
from tais.lab.packages import torch
from tests.lab.leak.tiny import random_model, random_prompts

# Importing transformers alone takes longer than a unit test may; CI runs the file all the same.
pytestmark = pytest.mark.slow

TOKENIZER = SimpleNamespace(eos_token_id=1, decode=lambda ids, skip_special_tokens: " ".join(map(str, ids)))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_perplexity_is_that_of_the_logits_and_grows_with_noise(layer: int) -> None:
    model = random_model()
    (tokens,) = random_prompts(model, 1, 10)
    passage = Passage(tuple(tokens), 4)
    with torch.inference_mode():
        law = model.model(model.ids(tokens)).logits[0].log_softmax(-1)
    told = -sum(float(law[i - 1, tokens[i]]) for i in range(4, 10)) / 6
    assert perplexity(model, [passage], layer) == pytest.approx(math.exp(told), rel=1e-5)
    answered = own_answers(model, TOKENIZER, random_prompts(model, 3, 5), 8)
    levels = [perplexity(model, answered, layer, blur(Defence(noise=s), 1)) for s in (0.0, 0.5, 50.0)]
    assert levels[0] == pytest.approx(perplexity(model, answered, layer))
    assert levels == sorted(level for level in levels if level is not None)
    assert len(set(levels)) == 3


def test_changed_states_leave_no_trace_behind() -> None:
    model = random_model()
    ids = model.ids([1, 2, 3])
    with torch.inference_mode():
        before = model.model(ids).logits
        with model.perturbed(1, lambda states: states * 0):
            assert not torch.equal(model.model(ids).logits, before)
        assert torch.equal(model.model(ids).logits, before)


def test_answers_together_are_those_of_each_prompt_alone() -> None:
    model = random_model("gpt2", seed=2)
    prompts = [*random_prompts(model, 3, 4), *random_prompts(model, 2, 6, seed=5)]
    texts, reasons = generate(model, TOKENIZER, prompts, 7)
    for tokens, text, reason in zip(prompts, texts, reasons, strict=True):
        said: list[int] = []
        while len(said) < 7 and 1 not in said:
            with torch.inference_mode():
                said.append(int(model.model(model.ids([*tokens, *said])).logits[0, -1].argmax()))
        assert reason == ("stop" if 1 in said else "length")
        assert text == " ".join(str(t) for t in said if t != 1)


def test_prompt_that_fills_all_positions_has_no_answer() -> None:
    model = random_model()
    assert own_answers(model, TOKENIZER, random_prompts(model, 1, 64), 4) == []
    assert perplexity(model, [], 1) is None
