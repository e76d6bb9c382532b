"""Nested data compared."""

from __future__ import annotations

import pytest

from tais.common.differences import ABSENT, differences, equal, leaf_differences, same_json


def test_a_key_that_is_missing_differs_from_any_value() -> None:
    assert list(differences({"a": ABSENT}, {})) == [("a", ABSENT, ABSENT)]
    assert list(differences({"a": None}, {})) == [("a", None, ABSENT)]


def test_a_list_is_a_leaf_where_leaves_are_compared() -> None:
    before, now = {"b": {"x": [1, 2], "y": 1}, "a": {}}, {"b": {"x": [1, 3]}, "a": {}}
    assert leaf_differences(before, now) == [("b.x", [1, 2], [1, 3]), ("b.y", 1, ABSENT)]
    assert [d.key for d in differences(before, now)] == ["b.x[1]", "b.y"]


@pytest.mark.parametrize(
    ("one", "other", "as_schema", "as_text"),
    [
        (1, 1.0, True, False),
        (1, True, False, False),
        (0, None, False, False),
        ([1, {"a": 1}], [1, {"a": 1}], True, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, True),
        ([[0]], [[False]], False, False),
        (10**400, 10**400, True, True),
        (0.1, 0.1 + 1e-12, False, False),
    ],
)
def test_two_ways_to_be_equal(one: object, other: object, as_schema: bool, as_text: bool) -> None:
    assert equal(one, other) is as_schema
    assert same_json(one, other) is as_text
