"""Answers that must be JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.scorers.json_answer import MalformedJson, parse_json
from tests.support import get_scorer

JSON = get_scorer("json")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": null}',
        '```json\n{"a": 1, "b": 2}\n```',
        '```\n{"b": 1, "a": {}}\n```\n',
        ' {"a":"","b":[]} ',
    ],
)
def test_an_object_with_the_keys_is_right(text: str) -> None:
    assert JSON.score(text, ["a", "b"]).value == 1.0


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"a": 1}', "missing_key"),
        ('[{"a": 1, "b": 2}]', "not_an_object"),
        ('{"a": 1, "a": 2, "b": 3}', "duplicate_key"),
        ('{"b": {"x": 1, "x": 1}, "a": 1}', "duplicate_key"),
        ('{"a": NaN, "b": 1}', "not_a_number"),
        ('{"a": -Infinity, "b": 1}', "not_a_number"),
        ('{"a": 1, "b": 2', "unparseable"),
        ('Here it is: {"a": 1, "b": 2}', "unparseable"),
        ('{"a": 1, "b": 2} Done.', "unparseable"),
        ("{'a': 1, 'b': 2}", "unparseable"),
        ('```json\n{"a": 1, "b": 2}', "unparseable"),
        ("[" * 100_000, "unparseable"),
        ("9" * 5000, "unparseable"),
    ],
)
def test_a_complete_answer_that_is_wrong_is_valid_and_zero(text: str, label: str) -> None:
    score = JSON.score(text, ["a", "b"], "stop")
    assert (score.value, score.invalid, score.label) == (0.0, False, label)


def test_a_cut_off_answer_is_invalid() -> None:
    assert JSON.score('{"a": 1, "b"', ["a"], "length").label == "truncated"
    assert JSON.score('{"a": 1, "b"', ["a"], "length").invalid
    assert JSON.score("12", None, "length").invalid
    assert JSON.score('{"a": 1, "a": 2}', ["a"], "length").label == "duplicate_key"


def test_without_keys_any_value_will_do() -> None:
    assert JSON.score("[1, 2]", None).value == 1.0
    assert JSON.score("null", None, "stop").value == 1.0


def test_nothing_is_invalid() -> None:
    assert JSON.score("", None).label == "empty"


@pytest.mark.parametrize("expect", ["name", {"name": 1}, [1], 3])
def test_expectations_are_key_lists(expect: object) -> None:
    with pytest.raises(ValueError, match="expect"):
        JSON.check_expect(expect)


TEXTS = st.one_of(
    st.text(alphabet=' \n\t\u00a0\ufeff{}[]":,-+.019eEtruefalsnINity`', max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ).map(json.dumps),
)


def standard(text: str) -> tuple[bool, object]:
    try:
        return True, json.loads(text)
    except ValueError:
        return False, None


def ours(text: str) -> tuple[bool, object]:
    try:
        return True, parse_json(text)
    except MalformedJson as error:
        return False, error.label


@given(TEXTS)
def test_what_parses_is_what_the_standard_library_parses(text: str) -> None:
    (parses, value), (taken, found) = standard(text), ours(text)
    if taken and "```" not in text:
        assert parses
        assert found == value
    if parses and not taken:
        # Stricter in two things only.
        assert found in ("duplicate_key", "not_a_number")
