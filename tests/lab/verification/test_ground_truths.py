"""Expected accepted tokens on published toys, by enumeration of the shipped code.

Fractions were derived by hand or computed by two independent enumerations; those of lemma 1 of arXiv
2403.10444 (token and block, L = 2) stand in the paper.
"""

from __future__ import annotations

from fractions import Fraction as F
from math import sqrt

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tais.lab.verification import VERIFIERS, parse_shape
from tais.lab.verification.exact_law import ExactLaw, Finding, exact_law
from tais.lab.verification.kseq import discount
from tais.lab.verification.laws import TOY2, TOY3, context_free
from tais.lab.verification.typical import threshold

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow


def one_level_bound(p: NDArray[np.float64], q: NDArray[np.float64], draws: int) -> float:
    """The largest acceptance of one level: 1 + min over sets H of p(H) - q(H)^draws; looks at all subsets."""
    masks = (np.arange(2 ** len(p))[:, None] >> np.arange(len(p))) & 1
    return float(1 + np.min(masks @ p - (masks @ q) ** draws))


def run(name: str, toy: tuple[tuple[float, ...], tuple[float, ...]], shape: str) -> ExactLaw:
    drafted = parse_shape(shape)
    return exact_law(name, VERIFIERS[name].load(), context_free("toy", *toy, drafted.depth), drafted)


@pytest.mark.parametrize(
    ("name", "length", "expected"),
    [
        *(("token", i + 1, value) for i, value in enumerate([F(2, 3), F(10, 9), F(38, 27), F(130, 81)])),
        *(("block", i + 1, value) for i, value in enumerate([F(2, 3), F(11, 9), F(5, 3), F(166, 81)])),
    ],
)
def test_single_path_on_the_toy_of_two_tokens(name: str, length: int, expected: F) -> None:
    result = run(name, TOY2, f"chain:{length}")
    assert result.finding is Finding.lossless
    assert result.accepted == pytest.approx(float(expected), abs=1e-9)


KSEQ = (11 + sqrt(13)) / 18


@pytest.mark.parametrize(
    ("shape", "name", "expected"),
    [
        *(("paths:2x1", name, 7 / 9) for name in ("naive", "specinfer", "recursive", "traversal")),
        ("paths:2x1", "nss", 2 / 3),
        ("paths:2x1", "kseq", KSEQ),
        ("paths:2x1", "gbv", 8 / 9),
        ("paths:2x1", "khisti", 8 / 9),
        *(("paths:2x2", name, 4 / 3) for name in ("naive", "specinfer", "recursive")),
        ("paths:2x2", "nss", 82 / 81),
        ("paths:2x2", "kseq", 1.4054865457),
        ("paths:2x2", "traversal", 115 / 81),
        ("paths:2x2", "gbv", 131 / 81),
        *(("paths:3x1", name, 23 / 27) for name in ("naive", "specinfer", "traversal")),
        ("paths:3x1", "nss", 64 / 81),
        ("paths:3x1", "kseq", 0.8965764760),
        ("paths:3x1", "gbv", 26 / 27),
        *(("paths:3x2", name, 1087 / 729) for name in ("naive", "specinfer")),
        ("paths:3x2", "nss", 8200 / 6561),
        ("paths:3x2", "kseq", 1.5933063621),
        ("paths:3x2", "traversal", 1136 / 729),
        ("paths:3x2", "gbv", 1289 / 729),
    ],
)
def test_several_paths_on_the_toy_of_two_tokens(shape: str, name: str, expected: float) -> None:
    result = run(name, TOY2, shape)
    assert result.finding is Finding.lossless
    assert result.accepted == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("chain:1", 2 / 3),
        ("chain:2", 11 / 9),
        ("paths:2x1", 8 / 9),
        ("paths:2x2", 131 / 81),
        ("paths:3x1", 1.0),
        ("paths:3x2", 1351 / 729),
    ],
)
def test_the_bound_on_the_toy_of_two_tokens(shape: str, expected: float) -> None:
    assert run("nss", TOY2, shape).bound == pytest.approx(expected, abs=1e-9)


TOY3_ACCEPTANCE = {
    "nss": (0.29, 0.483, 0.6161, 0.71067),
    **dict.fromkeys(("naive", "specinfer", "recursive", "traversal"), (0.7, 0.76, 0.808, 0.8464)),
    "kseq": (0.7, 0.7913552873, 0.8585186057, 0.9060071678),
    # Not monotone in the number of paths.
    "gbv": (0.7, 0.86, 0.913, 0.8625),
}


@pytest.mark.parametrize("paths", [1, 2, 3, 4])
@pytest.mark.parametrize("name", TOY3_ACCEPTANCE)
def test_one_level_on_the_toy_of_three_tokens(name: str, paths: int) -> None:
    result = run(name, TOY3, f"paths:{paths}x1")
    assert result.finding is Finding.lossless
    assert result.accepted == pytest.approx(TOY3_ACCEPTANCE[name][paths - 1], abs=1e-9)


@pytest.mark.parametrize(("paths", "expected"), [(1, 0.7), (2, 0.86), (3, 0.988), (4, 1.0)])
def test_the_bound_of_one_level_has_a_closed_form(paths: int, expected: float) -> None:
    assert one_level_bound(np.array(TOY3[0]), np.array(TOY3[1]), paths) == pytest.approx(expected, abs=1e-12)
    assert run("nss", TOY3, f"paths:{paths}x1").bound == pytest.approx(expected, abs=1e-9)


def test_two_draws_with_all_pairs_free_reach_the_bound() -> None:
    assert run("khisti_lp", TOY3, "paths:2x1").accepted == pytest.approx(0.86, abs=1e-9)


@pytest.mark.parametrize(
    ("toy", "draws", "expected"),
    [
        (TOY2, 2, (5 + sqrt(13)) / 6),
        (TOY3, 1, 1.0),
        (TOY3, 2, 1.45677644),
        (TOY3, 3, 1.79259303),
        (TOY3, 4, 2.03003584),
    ],
)
def test_the_discount_of_kseq(
    toy: tuple[tuple[float, ...], tuple[float, ...]], draws: int, expected: float
) -> None:
    p, q = (torch.tensor(law, dtype=torch.float64) for law in toy)
    assert discount(p, q, draws) == pytest.approx(expected, abs=1e-8)


def test_typical_acceptance_writes_the_drafts_law() -> None:
    two = run("typical", TOY2, "chain:2")
    assert two.accepted == pytest.approx(2)
    assert two.total_variation == pytest.approx(1 / 3, abs=1e-12)
    three = run("typical", TOY3, "chain:2")
    assert three.total_variation == pytest.approx(0.39, abs=1e-12)
    # Its first token has the draft's law: surplus q - p at the root.
    surplus = {place.token: place.surplus for place in three.breaks if place.node == ()}
    assert surplus == pytest.approx({0: -0.3, 2: 0.3})


def test_the_threshold_of_typical_acceptance() -> None:
    # min(0.09, 0.3 exp(-ln 4)) = 0.075 for four equal tokens; 0.09 for a sure one.
    assert threshold(torch.full((4,), 0.25, dtype=torch.float64)) == pytest.approx(0.075, abs=1e-12)
    assert threshold(torch.tensor([1.0, 0.0], dtype=torch.float64)) == 0.09


def test_the_entropy_is_taken_in_full_only_where_its_bounds_leave_the_choice_open() -> None:
    """What passes is what the threshold says, on laws from nearly flat to nearly sure."""
    from tais.lab.verification.typical import EPSILON, threshold_between

    generator = torch.Generator().manual_seed(0)
    for spread in (0.1, 1.0, 3.0, 10.0):
        for _ in range(20):
            logits = spread * torch.randn(500, generator=generator, dtype=torch.float64)
            p = torch.softmax(logits, 0)
            p[:7] = 0
            exact = threshold(p := p / p.sum())
            chances = [float(x) for x in p if 0 < x <= EPSILON]
            # Together, one by one, and just beside the threshold.
            for asked in (chances, *([x] for x in chances[:20]), [exact * 0.9999], [exact * 1.0001]):
                limit = threshold_between(p, asked)
                assert [x > limit for x in asked] == [x > exact for x in asked]
