"""Exact and numeric answers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tais.scorers import get_scorer
from tais.scorers.exact import final_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 18", 18),
        ("18 eggs are left, so #### 1,800", 1800),
        ("She has 3 + 4 = 7 apples.", 7),
        ("Answer: $12.50", Fraction("12.5")),
        ("The answer is 42. I checked 3 times.", 42),
        ("so $\\boxed{-5}$ of 9", -5),
        ("**Answer:** 0.30", Fraction("0.3")),
        ("\u2212 3 and then \u22124", -4),
        ("1" + "0" * 100, None),
        ("none", None),
        ("x" * 2000 + " 7 " + "y" * 500, 7),
        ("123456" + "y" * 77, 123456),
    ],
)
def test_the_final_number(text: str, number: int | Fraction | None) -> None:
    assert final_number(text) == number


def test_numbers_are_compared_exactly() -> None:
    scorer = get_scorer("numeric")
    assert scorer.score("Answer: 0.1", 0.1).value == 1.0
    assert scorer.score("it is 1800", "step #### 1,800").value == 1.0
    assert scorer.score("it is 18", "#### 1,800").value == 0.0
    assert scorer.score("no idea", 3).invalid
    assert scorer.score("", 3).label == "empty"


@pytest.mark.parametrize("expect", [None, True, "none", [3], {"n": 3}])
def test_an_expectation_without_a_number_is_refused(expect: object) -> None:
    with pytest.raises(ValueError, match="expect"):
        get_scorer("numeric").check_expect(expect)


def test_exact_match_and_its_parameters() -> None:
    assert get_scorer("exact").score(" Rome\n", "Rome").value == 1.0
    assert get_scorer("exact").score("rome", "Rome").value == 0.0
    assert get_scorer({"name": "exact", "ignore_case": True}).score("rome", ["Oslo", "Rome"]).value == 1.0
    assert get_scorer({"name": "exact", "first_line": True}).score("Rome\nin Italy", "Rome").value == 1.0
    with pytest.raises(ValueError, match="expect"):
        get_scorer("exact").check_expect([])
