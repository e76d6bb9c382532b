"""Several texts in one cache: the logits of plain passes, and answers that depend on no other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from tais.lab.verification import VERIFIERS, SeededRng, parse_shape
from tais.lab.verification.batched import BatchDecoder, BatchedModel
from tais.lab.verification.cached import CachedModel, NotCacheable
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.warp import Warp
from tests.lab.verification.models import tiny_llama

pytestmark = pytest.mark.slow

PROMPTS = [[1, 3, 2, 0, 1], [4], [2, 2, 5, 6, 0, 1, 3, 3], [6, 5]]


def plain(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0, -1]


def near(row: torch.Tensor, model: Any, tokens: Sequence[int]) -> bool:
    return bool((row - plain(model, tokens)).abs().max() < 1e-10)


def test_trees_of_several_texts_have_the_logits_of_plain_passes() -> None:
    """Of different lengths, fed in parts, kept in part, joined and left by others."""
    model = tiny_llama(7, seed=1)
    batch = BatchedModel(model)
    logits = batch.begin(dict(enumerate(PROMPTS[:3])))
    assert all(near(logits[i], model, PROMPTS[i]) for i in range(3))
    # Text 2 does not take part in the second feeding.
    first = batch.feed({0: ([4, 2, 5], [-1, 0, 0]), 1: ([3], [-1]), 2: ([1, 1], [-1, 0])})
    second = batch.feed({0: ([6, 1, 3], [1, 1, 2]), 1: ([0, 5], [0, 0])})
    paths = {
        0: [[4], [4, 2], [4, 5], [4, 2, 6], [4, 2, 1], [4, 5, 3]],
        1: [[3], [3, 0], [3, 5]],
        2: [[1], [1, 1]],
    }
    for i, tails in paths.items():
        rows = torch.cat([first[i], *([second[i]] if i in second else [])])
        assert all(near(row, model, [*PROMPTS[i], *tail]) for row, tail in zip(rows, tails, strict=True))
    # Text 0 keeps 4, 2, 1; text 1 ends; text 2 keeps nothing yet; another one joins.
    batch.commit(0, [0, 1, 4])
    batch.drop(1)
    assert near(batch.begin({3: PROMPTS[3]})[3], model, PROMPTS[3])
    third = batch.feed({2: ([6], [1]), 0: ([6, 0], [-1, -1]), 3: ([2], [-1])})
    for i, row, tail in ((0, 0, [4, 2, 1, 6]), (0, 1, [4, 2, 1, 0]), (2, 0, [1, 1, 6]), (3, 0, [2])):
        assert near(third[i][row], model, [*PROMPTS[i], *tail])


SETTINGS = [
    ("block", "chain:3"),
    ("traversal", "paths:3x3"),
    ("gbv", "delayed:1,3,2"),
    ("kseq", "tree:2,2,1"),
    ("deterministic", "topk:2,2"),
    (None, ""),
]


def told(name: str | None, shape: str, draft: Any) -> Speculation | None:
    if name is None:
        return None
    return Speculation(CachedModel(draft), Warp(1.0), parse_shape(shape), VERIFIERS[name].load())


@pytest.mark.parametrize(("name", "shape"), SETTINGS)
def test_no_text_depends_on_its_batch(name: str | None, shape: str) -> None:
    """At temperature 1 in float64: one at a time, in batches of every size, and in another order."""
    target, draft = tiny_llama(7, seed=1), tiny_llama(7, seed=2, layers=1)
    how, warp = told(name, shape, draft), Warp(0.9)
    prompts = [prompt[:n] for prompt in PROMPTS for n in (1, len(prompt))]
    rooms = [3, 12, 1, 9, 12, 5, 2, 12]

    def together(size: int, order: Sequence[int]) -> dict[int, tuple[list[int], list[Any]]]:
        decoder = BatchDecoder(
            BatchedModel(target), warp, how, BatchedModel(draft) if how else None, size=size
        )
        texts = ((prompts[i], rooms[i], SeededRng(i)) for i in order)
        found: dict[int, tuple[list[int], list[Any]]] = {i: ([], []) for i in order}
        for number, step in decoder.run(texts):
            if step is not None:
                tokens, steps = found[order[number]]
                tokens.extend(step.tokens)
                steps.append((step.drafted, step.accepted))
        return found

    expected = {}
    for i, (prompt, room) in enumerate(zip(prompts, rooms, strict=True)):
        steps = list(Decoder(CachedModel(target), warp, how).steps(prompt, room, SeededRng(i)))
        expected[i] = [t for s in steps for t in s.tokens], [(s.drafted, s.accepted) for s in steps]
    assert len({tuple(tokens) for tokens, _ in expected.values()}) > 4
    for size, order in ((1, range(8)), (3, range(8)), (8, range(8)), (3, [5, 2, 7, 0, 1, 6, 4, 3])):
        assert together(size, order) == expected


def test_a_text_that_is_stopped_leaves_the_others_as_they_are() -> None:
    target = tiny_llama(7, seed=1)
    texts = [(prompt, 10, i) for i, prompt in enumerate(PROMPTS)]

    def run(stopped: int | None) -> dict[int, list[int]]:
        decoder = BatchDecoder(BatchedModel(target), Warp(1.0), size=2)
        found: dict[int, list[int]] = {}
        for number, step in decoder.run((p, room, SeededRng(seed)) for p, room, seed in texts):
            found.setdefault(number, []).extend(step.tokens if step else [])
            if number == stopped and len(found[number]) == 2:
                decoder.stop(number)
        return found

    whole = run(None)
    for number in range(4):
        cut = run(number)
        assert cut.pop(number) == whole[number][:2]
        assert cut == {i: tokens for i, tokens in whole.items() if i != number}


def test_texts_are_taken_only_when_there_is_room() -> None:
    taken: list[int] = []

    def texts() -> Iterator[tuple[list[int], int, SeededRng]]:
        for i, prompt in enumerate(itertools.islice(itertools.cycle(PROMPTS), 12)):
            taken.append(i)
            yield prompt, 4, SeededRng(i)

    decoder = BatchDecoder(BatchedModel(tiny_llama(7, seed=1)), Warp(1.0), size=3)
    done = 0
    for _, step in decoder.run(texts()):
        done += step is None
        assert len(taken) - done <= 3
    assert done == 12


def test_a_cache_that_forgets_is_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=7, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, sliding_window=4,
    )  # fmt: skip
    with pytest.raises(NotCacheable, match="does not keep every key"):
        BatchedModel(MistralForCausalLM(config).eval()).begin({0: [1, 2, 3]})
