"""Random laws and every shape: what claims to be lossless is, and none accepts more than can be."""

from __future__ import annotations

import pytest
import torch

from tais.lab.verification import VERIFIERS, Claim, parse_shape
from tais.lab.verification.exact_law import Finding, exact_law
from tais.lab.verification.laws import Pair, context_free, random_pair

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

LOSSLESS = [name for name, member in VERIFIERS.items() if member.claim is Claim.lossless]
RANDOM = [name for name in LOSSLESS if VERIFIERS[name].supports(parse_shape("paths:2x2"))]

QUICK = [
    "chain:2",
    "paths:2x1",
    "paths:2x2",
    "delayed:1,2,1",
    "entropy:0.8,2,2",
    "tree:2,1",
    "distinct:2,2",
    "topk:2,2",
]
LONG = ["chain:3", "delayed:1,2,2", "delayed:2,2,1", "entropy:0.9,2,3"]
LONGEST = ["paths:2x3", "paths:3x2", "tree:2,2"]
"""Seconds each, for some rules."""


def accepted(name: str, pair: Pair, shape: str) -> float:
    result = exact_law(name, VERIFIERS[name].load(), pair, parse_shape(shape), bound=False)
    assert result.exact
    return result.accepted


def holds(name: str, vocabulary: int, shape: str, seed: int) -> None:
    drafted = parse_shape(shape)
    if not VERIFIERS[name].supports(drafted):
        return
    pair = random_pair(vocabulary, drafted.depth, seed)
    result = exact_law(name, VERIFIERS[name].load(), pair, drafted)
    assert result.finding is Finding.lossless
    assert result.total_variation is not None
    assert result.bound is not None
    assert result.total_variation < 1e-12
    assert result.accepted <= result.bound + 1e-9


@pytest.mark.parametrize("shape", QUICK)
@pytest.mark.parametrize("name", LOSSLESS)
def test_the_output_is_the_targets(name: str, shape: str) -> None:
    holds(name, 3, shape, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [*LONG, *(pytest.param(shape, marks=pytest.mark.nightly) for shape in LONGEST)]
)
@pytest.mark.parametrize("name", LOSSLESS)
def test_the_output_is_the_targets_on_larger_trees(name: str, shape: str) -> None:
    for seed in (1, 2):
        holds(name, 3, shape, seed)


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", [4, 5])
@pytest.mark.parametrize("name", LOSSLESS)
def test_the_output_is_the_targets_on_larger_vocabularies(name: str, vocabulary: int) -> None:
    for shape in ("paths:2x2", "delayed:1,2,1", "paths:3x1", "distinct:2,1"):
        holds(name, vocabulary, shape, seed=3)


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize(
    ("names", "single"),
    [(("naive", "specinfer", "recursive", "kseq", "khisti"), "token"), (("traversal", "gbv"), "block")],
)
def test_with_one_path_they_are_the_single_path_rules(
    names: tuple[str, ...], single: str, length: int
) -> None:
    pair = random_pair(4, length, seed=21)
    expected = accepted(single, pair, f"chain:{length}")
    for name in names:
        assert accepted(name, pair, f"paths:1x{length}") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_block_accepts_no_less_than_token_and_reaches_the_bound(seed: int) -> None:
    pair = random_pair(4, 2, seed)
    block = exact_law("block", VERIFIERS["block"].load(), pair, parse_shape("chain:2"))
    assert accepted("token", pair, "chain:2") <= block.accepted + 1e-12
    assert block.accepted == pytest.approx(block.bound, abs=1e-9)


@pytest.mark.parametrize("name", ["token", "block", "naive", "specinfer", "kseq", "recursive", "traversal"])
def test_where_the_draft_is_the_target_all_is_accepted(name: str) -> None:
    pair = random_pair(4, 2, seed=4, divergence=0)
    assert accepted(name, pair, "chain:2") == pytest.approx(2, abs=1e-12)
    assert accepted(name, pair, "paths:2x2") == pytest.approx(2, abs=1e-12)


def test_picking_among_equals_costs_greedy_multipath_tokens() -> None:
    """The picked path has the law CDF^K by ranks: (.25, .39, .36) for two draws of p = q = (.5, .3, .2)."""
    pair = context_free("equal", (0.5, 0.3, 0.2), (0.5, 0.3, 0.2), 1)
    assert accepted("gbv", pair, "paths:2x1") == pytest.approx(0.75, abs=1e-12)
    assert accepted("gbv", pair, "paths:4x1") == pytest.approx(0.5625, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # By hand, for two draws of p = q = (.5, .3, .2): sum p (1 - (1 - q)^2).
        ("nss", 0.5 * 0.75 + 0.3 * 0.51 + 0.2 * 0.36),
        # The first child a with p(a), then another one b with p(b) of what is left: meeting a draw is all.
        ("deterministic", 0.5 * 0.75 + 0.3 * 0.51 + 0.2 * 0.36),
        # With all pairs free the pick is even, and its law is q.
        ("khisti_lp", 1.0),
        ("khisti", 1.0),
    ],
)
def test_where_the_draft_is_the_target_others_accept_what_their_rule_allows(
    name: str, expected: float
) -> None:
    pair = context_free("equal", (0.5, 0.3, 0.2), (0.5, 0.3, 0.2), 1)
    assert accepted(name, pair, "paths:2x1") == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", RANDOM)
def test_too_large_to_enumerate_a_sample_shows_no_deviation(name: str) -> None:
    """V = 5, L = 3, K = 3: 5^9 sequences of drafts. A sample of 2,000 outputs, with its standard error."""
    pair = random_pair(5, 3, seed=2)
    result = exact_law(name, VERIFIERS[name].load(), pair, parse_shape("paths:3x3"), limit=2000, samples=2000)
    assert not result.exact
    assert result.finding is Finding.undecided
    # No more than the 1.5 of a variable in [0, 3] over the root of 2,000.
    assert 0 < result.accepted_error < 0.034


@pytest.mark.parametrize(
    "name", [name for name, member in VERIFIERS.items() if member.claim is not Claim.lossy]
)
def test_at_temperature_zero_all_are_the_longest_greedy_match(name: str) -> None:
    for seed in range(4):
        pair = random_pair(4, 2, seed, temperature=0)
        for shape in ("chain:2", "paths:2x2", "topk:2,2"):
            if not VERIFIERS[name].supports(parse_shape(shape)):
                continue
            result = exact_law(name, VERIFIERS[name].load(), pair, parse_shape(shape))
            assert result.finding is Finding.lossless
            context: tuple[int, ...] = ()
            while len(context) < 2:
                best = int(torch.argmax(pair.row(pair.target, context)))
                if best != int(torch.argmax(pair.row(pair.draft, context))):
                    break
                context = (*context, best)
            assert result.accepted == len(context)


@pytest.mark.parametrize("name", [name for name, member in VERIFIERS.items() if member.claim is Claim.lossy])
def test_what_is_labelled_lossy_is_lossy(name: str) -> None:
    result = exact_law(name, VERIFIERS[name].load(), random_pair(3, 2, 1), parse_shape("chain:2"))
    assert result.finding is Finding.lossy


def test_the_stable_form_of_greedy_multipath_keeps_its_digits() -> None:
    """Deep in a tree the block of a node is tiny; against exact fractions of the same floats."""
    from fractions import Fraction

    from tais.lab.verification.greedy_multipath import handed_share, picked_law

    q = torch.softmax(torch.linspace(-2, 2, 6, dtype=torch.float64), 0)
    share, low_mass, mass, paths = 1.0, Fraction(0), Fraction(1), 16
    for token in (1, 3, 0, 2, 5, 4, 1, 3):
        below = torch.cumsum(q, 0) - q
        law = picked_law(q, below.clone(), share, paths)
        exact = [Fraction(float(x)) for x in q]
        lows = [low_mass + mass * sum(exact[:t], Fraction(0)) for t in range(6)]
        highs = [low + mass * x for low, x in zip(lows, exact, strict=True)]
        whole = (low_mass + mass) ** paths - low_mass**paths
        for t in range(6):
            assert float(law[t]) == pytest.approx(
                float((highs[t] ** paths - lows[t] ** paths) / whole), rel=1e-11
            )
        share = handed_share(float(q[token]), float(below[token]), share)
        low_mass, mass = lows[token], mass * exact[token]
