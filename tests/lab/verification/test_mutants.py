"""Each mistake is found, and its place is named."""

from __future__ import annotations

import itertools

import pytest

from tais.lab.verification import Verifier, parse_shape
from tais.lab.verification.exact_law import ExactLaw, Finding, exact_law
from tais.lab.verification.laws import TOY2, TOY3, Pair, context_free, random_pair
from tests.lab.verification import mutants

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

ROOT: tuple[int, ...] = ()


def found(verifier: Verifier, pair: Pair, shape: str) -> ExactLaw:
    result = exact_law(verifier.__name__, verifier, pair, parse_shape(shape), bound=False)
    assert result.finding is Finding.lossy
    assert result.total_variation is not None
    assert result.total_variation > 1e-4
    return result


# Where the mistake acts on the very first level, the root breaks; the comment says why.
AT_THE_ROOT = [
    # A child is tested out of draft order, against a law that was meant for another.
    (mutants.traversal_by_token_id, "paths:2x2", 4),
    (mutants.traversal_by_probability, "paths:2x2", 4),
    (mutants.traversal_keeps_its_weight, "paths:2x2", 4),
    # The picked token has another law than the one that it is tested against.
    (mutants.gbv_with_two_orders_of_ties, "paths:2x1", 4),
    (mutants.gbv_against_the_law_of_one_draw, "paths:2x2", 4),
    (mutants.gbv_without_the_trunk, "delayed:1,2,1", 4),
    (mutants.khisti_with_a_fallback_that_disagrees, "paths:2x1", 4),
    # The root of a delayed tree has one child, which is tested K times.
    (mutants.specinfer_with_trunk_copies, "delayed:1,2,1", 3),
    (mutants.kseq_with_trunk_copies, "delayed:1,2,1", 3),
    (mutants.specinfer_on_distinct_children, "paths:2x1", 3),
    (mutants.specinfer_without_normalising, "paths:2x1", 4),
    (mutants.recursive_without_renormalising, "paths:2x1", 4),
    (mutants.kseq_without_the_discount, "paths:2x1", 4),
    # Laws that the children were not drawn from.
    (mutants.token_with_the_law_before_temperature, "chain:2", 4),
    (mutants.recursive_on_chosen_children, "topk:2", 4),
    (mutants.deterministic_keeps_refused_children, "topk:2", 4),
    (mutants.token_draws_from_the_target_after_a_refusal, "chain:2", 4),
    (mutants.block_with_the_test_of_token_verification, "chain:2", 4),
    (mutants.block_treats_the_last_level_like_the_others, "chain:2", 4),
]


@pytest.mark.parametrize(
    ("verifier", "shape", "vocabulary"), AT_THE_ROOT, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_mistake_at_the_first_level_breaks_the_root(
    verifier: Verifier, shape: str, vocabulary: int
) -> None:
    result = found(verifier, random_pair(vocabulary, 2, seed=3), shape)
    assert result.breaks[0].node == ROOT


def test_block_verification_that_stops_at_the_first_refusal() -> None:
    # By hand: after token 0, w = 1/2 and A = 0, so token 0 is never accepted, nor is it ever in the excess.
    first = found(mutants.block_stops_at_the_first_refusal, context_free("toy2", *TOY2, 2), "chain:2")
    assert (first.breaks[0].node, first.breaks[0].token) in ((ROOT, 0), (ROOT, 1))
    lost = next(place for place in first.breaks if place.token == 0)
    assert (lost.accepted, lost.emitted) == (0.0, 0.0)
    assert lost.wanted == pytest.approx(1 / 3, abs=1e-15)
    # Computed by an enumeration that shares no code with this one.
    assert first.accepted == pytest.approx(5 / 9, abs=1e-12)
    assert first.total_variation == pytest.approx(1 / 3, abs=1e-12)
    second = found(mutants.block_stops_at_the_first_refusal, context_free("toy3", *TOY3, 2), "chain:2")
    assert second.accepted == pytest.approx(0.85, abs=1e-12)
    assert second.total_variation == pytest.approx(0.20, abs=1e-12)


def test_the_residual_of_token_verification_shows_where_the_weight_is_below_one() -> None:
    pair = random_pair(5, 2, seed=3)
    result = found(mutants.block_with_the_residual_of_token_verification, pair, "chain:2")
    # At the root the weight is 1 and both residuals are the same; so they are where p >= q.
    ratios = pair.target[0][0] / pair.draft[0][0]
    for place in result.breaks:
        assert len(place.node) == 1
        assert float(ratios[place.node[0]]) < 1


def test_the_toys_of_the_papers_cannot_see_that_residual() -> None:
    """Their excess has one token only: a test on them alone passes a lossy rule."""
    for pair in (context_free("toy2", *TOY2, 2), context_free("toy3", *TOY3, 2)):
        verifier = mutants.block_with_the_residual_of_token_verification
        result = exact_law("mutant", verifier, pair, parse_shape("chain:2"))
        assert result.finding is Finding.lossless


def test_a_weight_without_its_cap_shows_below_the_tokens_that_exceed_it() -> None:
    pair = random_pair(4, 3, seed=3)
    result = found(mutants.block_without_the_cap_on_its_weight, pair, "chain:3")
    # The first weight is capped where it is used; the excess is carried into the second level.
    ratios = pair.target[0][0] / pair.draft[0][0]
    assert any(place.node and float(ratios[place.node[0]]) > 1 for place in result.breaks)


def test_a_row_off_by_one_shows_behind_the_last_token() -> None:
    result = found(mutants.token_with_the_last_law_of_the_parent, random_pair(4, 2, seed=3), "chain:2")
    assert {len(place.node) for place in result.breaks} == {2}


@pytest.mark.parametrize(
    "node", [n for d in range(3) for n in itertools.product(range(3), repeat=d)], ids=str
)
def test_a_mistake_planted_at_one_node_is_named_there_and_nowhere_else(node: tuple[int, ...]) -> None:
    pair = random_pair(3, 3, seed=5)
    result = found(mutants.planted_at(node), pair, "chain:3")
    assert {place.node for place in result.breaks} == {node}
    # A refused token must not come back: drawing from the target instead gives p < q too much of it.
    worst = result.breaks[0]
    excess = (pair.row(pair.target, node) - pair.row(pair.draft, node)).tolist()
    assert (worst.surplus > 0) == (excess[worst.token] < 0)
