"""The letter that an answer names."""

from __future__ import annotations

import pytest

from tais.scorers.choice import parse_letter
from tests.support import get_scorer

OPTIONS = {"A": "Paris", "B": "Rome", "C": "A river", "D": "Cannot be determined"}


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "B.",
        "b",
        "(B)",
        "[B]",
        " B\nbecause it is",
        "**B**",
        "B) Rome",
        "B. Rome",
        "B: Rome",
        "(B) Rome",
        "**B)** Rome",
        "**B. Rome**",
        "`B`",
        '"B"',
        "$B$",
        "B)",
        "B\r\n",
        "Answer: B",
        "Answer:\nB",
        "**Answer:** B",
        "Answer: **B**",
        "ANSWER: B",
        "The answer is B",
        "The answer is B.",
        "The answer is (B) Rome.",
        "The correct answer is: B",
        "The answer is option B",
        "I think that the best choice is B, as Rome is in Italy.",
        "Option B is right.",
        "The correct option is B.",
        "Final answer: B",
        "So it is $\\boxed{B}$.",
        "\\boxed{\\text{B}}",
        "B is correct, because of A.",
        "A) Paris\nB) Rome\nC) A river\n\nThe answer is B.",
        "B) Rome\n\nA) Paris is in France.",
        "Let me think. The answer is A? No. Final answer: B",
        "Rome",
        "Rome.",
        "**Rome**",
    ],
)
def test_an_answer_names_b(text: str) -> None:
    assert parse_letter(text, OPTIONS) == "B"


@pytest.mark.parametrize(
    "text",
    [
        "A cat sat on the mat",
        "I cannot help with that",
        "I'm not sure",
        "Both A and B",
        "A and B",
        "B or C",
        "The answer is a long story",
        "The answer is A common misunderstanding",
        "The answer is A. Or rather, the answer is B.",
        "A) Paris\nB) Rome\nC) A river",
        "None of them",
        "Berlin",
        "Because",
        "---",
        "The option is not clear",
    ],
)
def test_an_answer_without_a_clear_letter_is_unparseable(text: str) -> None:
    assert parse_letter(text, OPTIONS) is None


def test_a_capital_article_alone_is_still_a_letter() -> None:
    assert parse_letter("The answer is A because it is.") == "A"
    assert parse_letter("A") == "A"
    assert parse_letter("a") == "A"


def test_right_wrong_invalid_and_empty() -> None:
    scorer = get_scorer("choice")
    assert (scorer.score("B", "B").value, scorer.score("C", "B").value) == (1.0, 0.0)
    assert not scorer.score("C", "B").invalid
    assert scorer.score("Who knows", "B").invalid
    assert scorer.score(" \n", "B").label == "empty"
    assert scorer.score("Rome", {"letter": "B", "options": OPTIONS}).value == 1.0


def test_a_letter_beyond_the_question_is_invalid() -> None:
    scorer = get_scorer({"name": "choice", "letters": "ABCD"})
    assert scorer.score("E", "B").invalid


@pytest.mark.parametrize("expect", ["b", "AB", "", None, 1, {"letter": "E", "options": OPTIONS}, ["B"]])
def test_an_expectation_that_is_no_letter_is_refused(expect: object) -> None:
    with pytest.raises(ValueError, match="expect"):
        get_scorer("choice").check_expect(expect)
