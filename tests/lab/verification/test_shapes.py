"""Where a draft branches, and that this is decided before anything is seen that comes after."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tais.errors import UsageError
from tais.lab.verification import VERIFIERS, Draft, Rng, Tree, parse_shape
from tais.lab.verification.exact_law import all_runs, checked
from tais.lab.verification.laws import Pair, draw, random_pair
from tais.lab.verification.replay import outcomes
from tais.lab.verification.shapes import grow
from tais.lab.verification.tally import Tally

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

TEXTS = ["chain:4", "paths:3x2", "delayed:2,3,1", "entropy:0.75,3,4", "tree:3,2", "distinct:2,2", "topk:4"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_shape_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_shape(text)) == text


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("depth", [1, 2])
def test_no_path_is_longer_than_what_is_left(text: str, depth: int) -> None:
    shape = parse_shape(text).cut(depth)
    assert shape.depth == min(depth, parse_shape(text).depth)
    drawn = next(iter(outcomes(partial(draw, random_pair(4, 4, 1), shape), 10)))[0]
    assert max(drawn.tree.depth) == shape.depth


@pytest.mark.parametrize(
    "text", ["entropy:2", "entropy:-1,2,2", "entropy:1,0,2", "entropy:x,2,2", "delayed:0,0,1", "pile:2"]
)
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no shape|out of"):
        parse_shape(text)


def drafts(pair: Pair, text: str) -> list[tuple[Draft, float]]:
    return list(outcomes(partial(draw, pair, parse_shape(text)), 10**6))


def test_the_paths_part_where_the_entropy_is_reached() -> None:
    pair = random_pair(3, 3, seed=8)
    trunks = set()
    for draft, _ in drafts(pair, "entropy:0.9,2,3"):
        tree = draft.tree
        path, trunk = tree.context(tree.paths[0][-1]), tree.trunk
        for step in range(min(trunk + 1, 3)):
            law = pair.row(pair.draft, path[:step])
            entropy = -float((law * law.log()).sum())
            assert (entropy >= 0.9) == (step == trunk)
        assert len(tree.paths) == (2 if trunk < 3 else 1)
        trunks.add(trunk)
    assert len(trunks) > 1, "the pair must branch early and late for this test to say anything"


@given(seed=st.integers(0, 50), threshold=st.sampled_from([0.3, 0.7, 0.9, 1.0]))
def test_a_policy_uses_only_what_is_known_before(seed: int, threshold: float) -> None:
    """Replaying the decisions up to a node gives the same number of draws there, whatever comes after."""
    pair = random_pair(3, 2, seed)
    draws: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for draft, _ in drafts(pair, f"entropy:{threshold},2,2"):
        tree = draft.tree
        for step in range(tree.trunk + 1):
            if step < 2:
                node = tree.paths[0][step - 1] if step else 0
                draws[tree.context(node)].add(len(tree.draws[node]))
    assert all(len(counts) == 1 for counts in draws.values())


def test_every_draft_has_the_probability_that_its_draws_have() -> None:
    pair = random_pair(3, 2, seed=8)
    found = drafts(pair, "entropy:0.9,2,2")
    assert sum(probability for _, probability in found) == pytest.approx(1, abs=1e-12)
    for draft, probability in found:
        expected = 1.0
        for node, kids in enumerate(draft.tree.draws):
            for kid in kids:
                expected *= float(pair.row(pair.draft, draft.tree.context(node))[draft.tokens[kid]])
        assert probability == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["specinfer", "kseq", "traversal"])
def test_a_policy_that_looks_at_the_draws_is_lossy(name: str) -> None:
    """It draws again if the first token is not the likeliest: these are no draws from q."""
    pair = random_pair(3, 1, seed=2)

    def peeking(rng: Rng) -> Draft:
        tree = Tree()
        law = pair.row(pair.draft, ())
        tree.paths = [[tree.draw(0, rng.categorical(law))]]
        if tree.tokens[1] != int(law.argmax()):
            tree.draws[0].clear()  # thrown away for a better one
            tree.tokens[1:], tree.parent[1:], tree.depth[1:], tree.draws[1:] = [], [], [], []
            tree.paths = [[tree.draw(0, rng.categorical(law))]]
        p = torch.stack([pair.row(pair.target, tree.context(node)) for node in range(2)])
        q = torch.stack([law, torch.full_like(law, torch.nan)])
        return Draft(tree, p, q)

    tally = Tally(pair, 1)
    verifier = checked(name, VERIFIERS[name].load(), 3)
    all_runs(name, verifier, list(outcomes(peeking, 1000)), tally, 10**5)
    assert tally.total_variation() > 1e-3
    assert tally.breaks(1e-10)[0].node == ()


def test_laws_are_asked_for_once_per_level() -> None:
    pair, asked = random_pair(3, 3, seed=1), []

    def laws(tree: Tree, nodes: Sequence[int]) -> torch.Tensor:
        asked.append(list(nodes))
        return torch.stack([pair.row(pair.draft, tree.context(node)) for node in nodes])

    def run(rng: Rng) -> int:
        return len(grow(parse_shape("paths:3x3"), laws, rng)[0].tokens)

    sizes = [size for size, _ in itertools.islice(outcomes(run, 10**6), 50)]
    assert len(asked) == 3 * 50
    assert all(len(set(level)) == len(level) for level in asked)
    assert max(sizes) > 4
