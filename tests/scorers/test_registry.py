"""Finding scorers, and scoring many answers."""

from __future__ import annotations

import pytest

from tais.errors import ManifestError
from tais.scorers import Score, Scorer, score_unique, scorer_names, scorer_spec
from tests.support import get_scorer


@pytest.mark.parametrize("name", scorer_names())
def test_every_scorer_keeps_the_protocol(name: str) -> None:
    scorer = get_scorer(name)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    assert scorer.version
    assert scorer.kind in ("binary", "continuous")


def test_every_scorer_says_which_exchanged_answers_must_be_worse() -> None:
    said = {name: get_scorer(name).exchange for name in scorer_names()}
    polarity = {"refusal", "refusal_gcg", "refusal_xstest"}
    assert {name for name, exchange in said.items() if exchange == "polarity"} == polarity
    assert {name for name, exchange in said.items() if exchange == "none"} == {"sane"}
    assert set(said.values()) == {"polarity", "different", "none"}
    assert "exchange" not in scorer_spec(get_scorer("refusal")), "a lock's scorers keep their digest"


def test_an_unknown_scorer_names_the_nearest() -> None:
    with pytest.raises(ManifestError, match="Did you mean 'choice'"):
        get_scorer("choise")
    with pytest.raises(ManifestError, match="has no name"):
        get_scorer({"letters": "AB"})
    with pytest.raises(ManifestError, match="Did you mean 'letters'"):
        get_scorer({"name": "choice", "leters": "AB"})
    with pytest.raises(ManifestError, match="letters must be"):
        get_scorer({"name": "choice", "letters": "xyz"})


def test_a_specification_names_version_and_parameters() -> None:
    spec = scorer_spec(get_scorer({"name": "choice", "letters": "ABCD"}))
    assert spec["name"] == "choice"
    assert spec["letters"] == "ABCD"
    assert "version" in spec


class Counting:
    """Counts how often it is asked."""

    name, version, kind, exchange = "counting", "1", "binary", "different"

    def __init__(self) -> None:
        self.calls = 0

    def check_expect(self, expect: object) -> None: ...

    def score(self, text: str, expect: object, finish_reason: str | None = None) -> Score:
        self.calls += 1
        return Score(float(text == expect), finish_reason == "length", text)


def test_each_distinct_answer_is_scored_once_and_order_is_kept() -> None:
    scorer = Counting()
    texts = ["a", "b", "a", "a", "a"]
    expects = ["a", "a", "a", ["a"], "a"]
    reasons = ["stop", "stop", "stop", "stop", "length"]
    scores = score_unique(scorer, texts, expects, reasons)  # type: ignore[arg-type]
    assert scorer.calls == scores.distinct == 4
    assert scores.values.tolist() == [1, 0, 1, 0, 1]
    assert scores.invalid.tolist() == [False, False, False, False, True]
    assert scores.labels == ("a", "b", "a", "a", "a")


def test_what_another_arm_said_already_is_not_scored_again() -> None:
    scorer, known = Counting(), {}  # type: ignore[var-annotated]
    first = score_unique(scorer, ["a", "b"], ["a", "a"], known=known)  # type: ignore[arg-type]
    again = score_unique(scorer, ["a", "b"], ["a", "a"], known=known)  # type: ignore[arg-type]
    assert scorer.calls == first.distinct == again.distinct == 2
    assert again.values.tolist() == first.values.tolist() == [1, 0]
    # Another expectation, reason to finish, part, opening of the thinking or scorer is scored anew.
    score_unique(scorer, ["a"], ["b"], known=known)  # type: ignore[arg-type]
    score_unique(scorer, ["a"], ["a"], ["length"], known=known)  # type: ignore[arg-type]
    score_unique(scorer, ["a"], ["a"], parts=["{}"], known=known)  # type: ignore[arg-type]
    score_unique(scorer, ["a"], ["a"], opened=True, known=known)  # type: ignore[arg-type]
    assert scorer.calls == 5
    other = Counting()
    score_unique(other, ["a"], ["a"], known=known)  # type: ignore[arg-type]
    assert other.calls == 1


def test_a_text_and_its_json_are_different_expectations() -> None:
    assert score_unique(Counting(), ["x", "x"], ['["x"]', ["x"]]).distinct == 2  # type: ignore[arg-type]


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 texts"):
        score_unique(get_scorer("json"), ["a", "b"], [None])


def test_no_answers_give_no_scores() -> None:
    assert score_unique(get_scorer("refusal"), [], []).values.shape == (0,)
