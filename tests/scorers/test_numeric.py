"""Numbers as answers and expectations write them."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.scorers.numbers import final_number, whole_number
from tests.scorers import number_forms
from tests.support import get_scorer

# Forms, with the value that a person reads: GSM8K (####), MATH (boxed), ISO 80000 (spaces, 10^8), Swiss and
# continental separators, percent signs, currencies.
FORMS = [
    ("#### 18", "18"), ("18 eggs are left, so #### 1,800", "1800"), ("She has 3 + 4 = 7 apples.", "7"),
    ("Answer: $12.50", "12.5"), ("The answer is 42. I checked 3 times.", "42"),
    ("so $\\boxed{-5}$ of 9", "-5"),
    ("**Answer:** 0.30", "0.3"), ("\u2212 3 and then \u22124", "-4"), ("**42**", "42"),
    ("Answer: x = 7", "7"),
    ("The answer is 3/4.", "3/4"), ("It is 1 1/2 cups", "3/2"), ("\\boxed{\\frac{3}{4}}", "3/4"),
    ("\\boxed{\\dfrac34}", "3/4"),
    ("$-\\frac{1}{2}$", "-1/2"), ("the answer is \\frac{1}{2}", "1/2"), ("2\\frac{1}{2}", "5/2"),
    ("$\\tfrac{7}{2}$.", "7/2"),
    ("The answer is 50 %.", "50"), ("\\boxed{50\\%}", "50"), ("12.5 km", "12.5"), ("€5", "5"),
    ("\\boxed{\\$5}", "5"),
    ("1 234 567", "1234567"), ("1\u202f234", "1234"), ("1'234", "1234"), ("1.234,56", "1234.56"),
    ("0,5", "0.5"),
    ("Es sind 3,14 Meter.", "3.14"), ("1\\,000", "1000"), ("\\boxed{1{,}000}", "1000"), ("10 000", "10000"),
    ("3 \\times 10^{8}", "300000000"), ("3e8", "300000000"), ("6.02 × 10^2", "602"), ("10^3", "1000"),
    ("1.5e-1", "0.15"),
    ("\\boxed{12\\text{ cm}}", "12"), ("\\boxed{x=5}", "5"), ("\\boxed{3}.", "3"),
    ("The answer is (−3).", "-3"),
    ("on 12/25/2024", "2024"),
    ("\\boxed{90^\\circ}", "90"), ("it is 90^{\\circ}", "90"), ("\\boxed{1,\\!000,\\!000}", "1000000"),
    ("$1,\\!000$", "1000"), ("7 out of 10", "10"), ("x" * 2000 + " 7 " + "y" * 500, "7"),
    ("1,234" + "x" * 76, "1234"),
    ("-1,234.5" + "x" * 797, "-1234.5"), ("The answer is 1/3 and not 2/3", "1/3"),
]  # fmt: skip
NO_NUMBER = [
    "none", "1" + "0" * 100, "\\boxed{2\\sqrt{3}}", "It is 2\\sqrt{3}", "\\frac{\\sqrt{3}}{2}", "x^2",
    "1/0", "1e400",
    "The answer is 2π", "\\boxed{3\\pi}", "\\boxed{(1, 2)}", "\\boxed{x+1}",
]  # fmt: skip


def test_the_final_number() -> None:
    read = {text: number and number.value for text, _ in FORMS for number in [final_number(text)]}
    assert read == {text: Fraction(value) for text, value in FORMS}


def test_a_form_of_a_number_is_read() -> None:
    read = {
        text: number and (number.value, number.percent)
        for text, _ in number_forms.READ
        for number in [final_number(text)]
    }
    assert read == {
        text: value and (Fraction(value.rstrip("%")), value.endswith("%"))
        for text, value in number_forms.READ
    }


def test_what_cannot_be_worked_out_is_no_number() -> None:
    assert [text for text in NO_NUMBER if final_number(text) is not None] == []
    assert all(get_scorer("numeric").score(text, 2).invalid for text in NO_NUMBER)


@pytest.mark.parametrize(
    ("text", "expect", "right"),
    [
        ("Answer: 0.1", 0.1, True),
        ("it is 1800", "step #### 1,800", True),
        ("it is 18", "#### 1,800", False),
        ("1/2", "0.5", True),
        ("\\boxed{\\frac{2}{4}}", "1/2", True),
        ("the answer is 2", "1/2", False),
        ("0.3333", "1/3", False),
        ("$42M", "42 million", True), ("42", "42 million", False), ("1.5k", 1500, True), ("6:4", "3:2", True),
        ("6/4", "3:2", True), ("2 dozen eggs", 2, True), ("(7)", -7, False), ("twenty-one", 21, True),
        # Whether the sign belongs to the answer is not known where one alone has it.
        ("50%", "50%", True), ("50%", 50, True), ("50%", 0.5, True), ("0.5", "50%", True),
        ("50", "50%", True),
        ("0.5%", "50%", False), ("5%", "50%", False),
        # Units are converted where both have one.
        ("5000 m", "5 km", True), ("5 m", "5 km", False), ("5 minutes", "5 m", False), ("5", "5 km", True),
        ("90 minutes", "1.5 hours", True), ("50 cents", "$0.50", True), ("€5", "$5", False),
        ("5 apples", "5 km", True),
        ("$18", 18, True),
    ],
)  # fmt: skip
def test_numbers_are_compared_exactly(text: str, expect: object, right: bool) -> None:
    scorer = get_scorer("numeric")
    scorer.check_expect(expect)
    assert scorer.score(text, expect).value == right


def test_an_answer_without_a_number_is_invalid() -> None:
    scorer = get_scorer("numeric")
    assert scorer.score("no idea", 3).label == "unparseable"
    assert scorer.score("", 3).label == "empty"


EXPECTATIONS = [
    "18", "$1,200", "3/4", "x = 5", "12 apples", "5 km", "50%", "\\frac{1}{2}", "-5", "7 m/s", "5 cm^2",
    "5 \\text{ cm}",
    "$\\frac{1}{2}$", "18元", "1e-3", "(3)", 1e22, 3, "so \\boxed{7}", "a step\n#### 9",
    "3:4", "42 million", "twenty-one", "₹1,00,000", "1.234.567", "½", "٤٢", "4.2 × 10⁴", "3 + 4 = 7",
    "minus 7",
]  # fmt: skip
REFUSED = [
    None, True, [3], {"n": 3}, "none", "3 or 4", "2x + 1", "2x", "(1, 2)", "\\sqrt{2}", "2\\pi", "1/0",
    "10:30", "x", "3-4", "",
    "She has 3 + 4 = 7 apples.", "2, 3", float("inf"), float("nan"), "1/2/3", "3 to 5", "3..5", "1,2,3",
    "so \\boxed{x}",
]  # fmt: skip


@pytest.mark.parametrize("expect", EXPECTATIONS)
def test_an_expectation_that_is_a_number_is_taken(expect: object) -> None:
    get_scorer("numeric").check_expect(expect)


@pytest.mark.parametrize("expect", REFUSED)
def test_an_expectation_that_is_not_one_number_is_refused(expect: object) -> None:
    """A part of it would be another number, and wrong answers would score right."""
    with pytest.raises(ValueError, match="expect"):
        get_scorer("numeric").check_expect(expect)


PIECES = st.sampled_from(
    ["1", "27", ",", ".", "-", "−", "+", "$", " x ", "٣", "\n", "a" * 79, "-5.", "1,234", "0,5", "3/4",
     "#### ", "oxed{", "}"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_read_in_time_and_a_lone_number_at_its_end_is_found(text: str) -> None:
    final_number(text)
    whole_number(text)
    plain = re.sub(r"oxed\{|#### ", "", text)
    found = final_number(f"{plain} x -1,234.5")
    assert found is not None
    assert found.value == Fraction("-1234.5")


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**4))
def test_a_fraction_is_read_back_in_every_form(top: int, bottom: int) -> None:
    value = Fraction(top, bottom)
    forms = [
        f"{top}/{bottom}",
        f"\\boxed{{\\frac{{{top}}}{{{bottom}}}}}",
        f"#### {value}",
        f"The answer is {top}/{bottom}.",
    ]
    assert {number.value for form in forms if (number := final_number(form)) is not None} == {value}
    whole, rest = divmod(abs(top), bottom)
    if rest and whole:
        mixed = final_number(f"about {whole} {rest}/{bottom}")
        assert mixed is not None
        assert mixed.value == abs(value)
