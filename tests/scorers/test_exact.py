"""Exact and numeric answers."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.scorers.exact import final_number
from tests.support import get_scorer


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


PIECES = st.sampled_from(
    [
        "1",
        "27",
        ",",
        ".",
        "-",
        "−",
        "+",
        "$",
        " ",
        "x",
        "٣",
        "#### ",
        "nswer is ",
        "oxed{",
        "\n",
        "a" * 79,
        "-5.",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_last_number_is_that_of_a_reading_from_the_start(text: str) -> None:
    if any(mark in text for mark in ("####", "nswer", "oxed{")):
        text = text.replace("####", "").replace("nswer", "").replace("oxed{", "")
    # The grammar of numbers as the module's documentation has it, over the whole text.
    found = re.findall(r"[-+−]?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)", text)
    plain = found[-1].replace(",", "").replace("$", "").replace("−", "-") if found else ""
    assert final_number(text) == (Fraction(plain) if found and len(plain) <= 60 else None)


def test_a_number_is_whole_wherever_it_stands() -> None:
    # Read in windows from the end, as the first version did, this was 234.
    assert final_number("1,234" + "x" * 76) == 1234
    assert final_number("-1,234.5" + "x" * 797) == Fraction("-1234.5")
