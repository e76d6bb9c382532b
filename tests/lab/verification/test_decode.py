"""The cache, the tree mask and the decoder, on tiny models in float64."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch

from tais.lab.verification import VERIFIERS, SeededRng, parse_shape
from tais.lab.verification.batched import BatchDecoder, BatchedModel
from tais.lab.verification.cached import CachedModel
from tais.lab.verification.decode import Decoder, Speculation
from tais.lab.verification.laws import Pair, draw
from tais.lab.verification.replay import outcomes
from tais.lab.verification.warp import Warp
from tests.lab.verification.models import tiny_llama

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

PROMPT = [1, 3, 2, 0, 1]


def plain(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    """Logits behind the last token by one plain pass, without a cache."""
    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(tokens)]), use_cache=False).logits[0, -1]


def test_a_tree_in_the_cache_has_the_logits_of_plain_passes() -> None:
    model = tiny_llama(7, seed=1)
    cached = CachedModel(model)
    difference = (cached.begin(PROMPT) - plain(model, PROMPT)).abs().max()
    assert difference < 1e-10
    #            0         1  2  3   4  5  6
    tokens, parents = [4, 2, 5, 6, 1, 3, 3], [-1, 0, 0, 1, 1, 2, 3]
    paths = [[4], [4, 2], [4, 5], [4, 2, 6], [4, 2, 1], [4, 5, 3], [4, 2, 6, 3]]
    # Fed in two parts, as a draft does level by level.
    logits = torch.cat([cached.feed(tokens[:3], parents[:3]), cached.feed(tokens[3:], parents[3:])])
    for row, path in zip(logits, paths, strict=True):
        assert (row - plain(model, PROMPT + path)).abs().max() < 1e-10
    # Keep 4, 2, 1 and go on: the cache holds what a plain pass over that text would.
    cached.commit([0, 1, 4])
    text = [*PROMPT, 4, 2, 1]
    again = cached.feed([6, 0], [-1, -1])
    for row, token in zip(again, (6, 0), strict=True):
        assert (row - plain(model, [*text, token])).abs().max() < 1e-10


SHAPES = ["chain:3", "paths:3x3", "delayed:1,3,2", "tree:2,2,1", "distinct:2,2", "topk:2,2"]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_step_is_judged_by_the_logits_of_plain_passes(shape: str) -> None:
    target, draft = tiny_llama(7, seed=1), tiny_llama(7, seed=2, layers=1)
    drafted = parse_shape(shape)
    verifier = VERIFIERS["traversal" if drafted.is_random else "deterministic"].load()
    how = Speculation(CachedModel(draft), Warp(1.0), drafted, verifier)
    decoder = Decoder(CachedModel(target), Warp(0.8), how)
    text = list(PROMPT)
    kept = 0
    for step in decoder.steps(PROMPT, 30, SeededRng(5)):
        for token, row in zip(step.tokens, step.logits, strict=True):
            assert (row - plain(target, text)).abs().max() < 1e-10
            text.append(token)
        kept += step.accepted or 0
    assert len(text) >= len(PROMPT) + 30
    assert kept > 0


def test_the_draft_is_told_as_it_was_drawn() -> None:
    """Rows of q are the draft's own laws after each node, whatever was accepted before."""
    target, draft = tiny_llama(7, seed=1), tiny_llama(7, seed=2, layers=1)
    warp = Warp(0.7, top_k=5)
    texts: list[list[int]] = []

    def watched(seen: Any, rng: Any) -> Sequence[int]:
        for node in range(len(seen.tokens)):
            if seen.draws(node):
                before = [*texts[-1], *seen.tree.context(node)]
                assert (seen.q[node] - warp.law(plain(draft, before)[None])[0]).abs().max() < 1e-10
            assert (
                seen.p[node] - Warp().law(plain(target, [*texts[-1], *seen.tree.context(node)])[None])
            ).abs().max() < 1e-10
        output: Sequence[int] = VERIFIERS["specinfer"].load()(seen, rng)
        texts.append([*texts[-1], *output])
        return output

    how = Speculation(CachedModel(draft), warp, parse_shape("paths:2x3"), watched)
    steps = Decoder(CachedModel(target), Warp(), how).steps(PROMPT, 25, SeededRng(3))
    texts.append([*PROMPT, *next(steps).tokens])
    for _ in steps:
        pass
    assert len(texts) > 8


def laws_after(model: Any, prefix: Sequence[int], depth: int, size: int) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.stack(
            [
                Warp().law(plain(model, [*prefix, *c])[None])[0]
                for c in itertools.product(range(size), repeat=d)
            ]
        )
        for d in range(depth + 1)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape"),
    [("block", "chain:2"), ("kseq", "paths:2x2"), ("gbv", "delayed:1,2,1"), ("traversal", "tree:2,1")],
)
def test_what_the_engine_draws_agrees_with_the_enumeration(name: str, shape: str) -> None:
    """Outputs of one step, by 3,000 texts in batches and by walking every decision: five sigma."""
    size, runs, drafted = 3, 3000, parse_shape(shape)
    prompt = [1, 2, 0]
    target, draft = tiny_llama(size, seed=3), tiny_llama(size, seed=4, layers=1)
    verifier = VERIFIERS[name].load()
    exact: dict[tuple[int, ...], float] = defaultdict(float)
    for first, chance in enumerate(Warp().law(plain(target, prompt)[None])[0].tolist()):
        sides = (laws_after(model, [*prompt, first], 2, size) for model in (target, draft))
        for tree, weight in outcomes(partial(draw, Pair("model", *sides), drafted), 10**6):
            for output, probability in outcomes(partial(verifier, tree), 10**6):
                exact[first, *output] += chance * weight * probability
    how = Speculation(CachedModel(draft), Warp(), drafted, verifier)
    decoder = BatchDecoder(BatchedModel(target), Warp(), how, BatchedModel(draft), size=100)
    seen: Counter[tuple[int, ...]] = Counter()
    firsts: dict[int, Sequence[int]] = {}
    for number, step in decoder.run((prompt, 4, SeededRng(seed)) for seed in range(runs)):
        assert step is not None
        if number in firsts:
            seen[*firsts[number], *step.tokens] += 1
            decoder.stop(number)
        firsts[number] = step.tokens
    assert sum(exact.values()) == pytest.approx(1, abs=1e-12)
    for output, probability in exact.items():
        spread = math.sqrt(runs * probability * (1 - probability))
        # Bernstein's term for cells that expect a handful.
        assert abs(seen[output] - runs * probability) < 5 * spread + 25 / 3, output
    assert not set(seen) - set(exact)
    mean = sum(probability * (len(output) - 2) for output, probability in exact.items())
    square = sum(probability * (len(output) - 2) ** 2 for output, probability in exact.items())
    found = sum(count * (len(output) - 2) for output, count in seen.items()) / runs
    assert abs(found - mean) < 5 * math.sqrt((square - mean**2) / runs)


@pytest.mark.parametrize(
    ("warp", "expected"),
    [
        (Warp(0), [0, 0, 1, 0]),
        (Warp(1), [0.1, 0.2, 0.4, 0.3]),
        (Warp(1, top_k=2), [0, 0, 4 / 7, 3 / 7]),
        # 0.4 alone does not reach 0.5, with 0.3 it does.
        (Warp(1, top_p=0.5), [0, 0, 4 / 7, 3 / 7]),
        (Warp(1, top_p=0.39), [0, 0, 1, 0]),
        (Warp(0.5), [1 / 30, 4 / 30, 16 / 30, 9 / 30]),
        # Top-p counts the mass that top-k left: 4/7 reaches 0.55.
        (Warp(1, top_k=2, top_p=0.55), [0, 0, 1, 0]),
    ],
)
def test_temperature_top_k_and_top_p(warp: Warp, expected: list[float]) -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.4, 0.3]], dtype=torch.float64))
    assert warp.law(logits)[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_seeded_generator_draws_by_the_weights() -> None:
    rng, weights = SeededRng(1), torch.tensor([1.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    drawn = Counter(rng.categorical(weights) for _ in range(4000))
    assert set(drawn) == {0, 2}
    assert abs(drawn[0] - 1000) < 5 * math.sqrt(4000 * 0.25 * 0.75)
    assert abs(sum(rng.flip(0.3) for _ in range(4000)) - 1200) < 5 * math.sqrt(4000 * 0.3 * 0.7)
    assert not any(rng.flip(0.0) for _ in range(100))
    assert all(rng.flip(1.0) for _ in range(100))
