"""Exact expectations on one tree, from the shipped rules."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tais.lab.verification import VERIFIERS, parse_shape
from tais.lab.verification.exact_law import exact_law
from tais.lab.verification.expected import RULES, depth_table, rule_law
from tais.lab.verification.laws import TOY3, draw, random_pair
from tais.lab.verification.replay import outcomes

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

P, Q = (torch.tensor(law, dtype=torch.float64) for law in TOY3)


@pytest.mark.parametrize("name", RULES)
def test_the_law_of_a_rule_given_its_children_averages_to_the_targets(name: str) -> None:
    """Over the children's draws every lossless rule has the target's law."""
    total = torch.zeros_like(P)
    for first in range(3):
        for second in range(3):
            law = rule_law(RULES[name], P, Q, [first, second])
            assert float(law.sum()) == pytest.approx(1, abs=1e-12)
            total += Q[first] * Q[second] * law
    assert total.tolist() == pytest.approx(P.tolist(), abs=1e-12)


def test_the_law_of_token_verification_given_its_child() -> None:
    # Child 2: accepted with .2/.5; else the excess (.3, 0, 0), which is all token 0.
    assert rule_law(RULES["naive"], P, Q, [2]).tolist() == pytest.approx([0.6, 0, 0.4], abs=1e-12)


@pytest.mark.parametrize("shape", ["paths:2x2", "delayed:1,2,1", "tree:2,1"])
@pytest.mark.parametrize("name", [name for name in RULES if name != "deterministic"])
def test_the_mean_over_drafts_is_what_the_audit_finds(name: str, shape: str) -> None:
    pair, drafted = random_pair(3, 2, seed=6), parse_shape(shape)
    exact = exact_law(name, VERIFIERS[name].load(), pair, drafted, bound=False).accepted
    drafts = outcomes(partial(draw, pair, drafted), 10**6)
    mean = sum(chance * depth_table(draft, RULES[name])[0][-1] for draft, chance in drafts)
    assert mean == pytest.approx(exact, abs=1e-12)


def test_one_tree_tells_the_value_of_every_shorter_one() -> None:
    pair = random_pair(4, 3, seed=6)
    for draft, _ in list(outcomes(partial(draw, pair, parse_shape("paths:2x3")), 10**6))[::200]:
        row = depth_table(draft, RULES["specinfer"])[0]
        assert row[0] == 0
        assert row == sorted(row)
        assert len(row) == 4
    # Cut at one level, the mean is that of a draft of one level.
    drafts = outcomes(partial(draw, pair, parse_shape("paths:2x3")), 10**6)
    mean = sum(chance * depth_table(draft, RULES["naive"])[0][1] for draft, chance in drafts)
    exact = exact_law(
        "naive", VERIFIERS["naive"].load(), pair, parse_shape("paths:2x1"), bound=False
    ).accepted
    assert mean == pytest.approx(exact, abs=1e-12)
