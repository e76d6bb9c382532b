"""What an answer says outside its text, in one canonical form."""

from __future__ import annotations

import json

import pytest
from pydantic import JsonValue

from tais.common.parts import differing_part, differing_parts, read_parts, render_parts, unknown_parts


def test_an_answer_without_parts_has_none() -> None:
    assert render_parts({"tool_calls": [], "refusal": None, "reasoning": ""}) is None
    assert read_parts(None) == {}


def test_ids_of_calls_say_nothing_and_arguments_stay_as_written() -> None:
    calls: list[dict[str, JsonValue]] = [
        {"id": name, "index": 0, "type": "function", "function": {"arguments": '{"a": 1}'}} for name in "xy"
    ]
    first, second = (render_parts({"tool_calls": [call]}) for call in calls)
    assert first == second
    other = render_parts({"tool_calls": [{"type": "function", "function": {"arguments": '{"a":1}'}}]})
    assert first is not None
    assert first != other
    assert json.loads(first)["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("candidate", "part"),
    [
        ({"tool_calls": [{"name": "a"}], "reasoning": "r"}, None),
        ({"tool_calls": [{"name": "b"}], "reasoning": "s"}, "tool_calls"),
        ({"tool_calls": [{"name": "a"}], "reasoning": "s"}, "reasoning"),
        ({"tool_calls": [{"name": "a"}], "reasoning": "r", "refusal": "no"}, "refusal"),
        ({"reasoning": "r"}, "tool_calls"),
    ],
)
def test_the_first_part_that_differs_is_named(candidate: dict[str, JsonValue], part: str | None) -> None:
    reference = render_parts({"tool_calls": [{"name": "a"}], "reasoning": "r"})
    found = differing_part(reference, render_parts(candidate))
    assert (None if found is None else found[0]) == part


def test_all_parts_that_differ_are_named_and_unknown_ones_kept() -> None:
    left, right = (
        render_parts({"reasoning": one, "audio": {"id": one, "data": one}, "refusal": "no"}) for one in "ab"
    )
    assert [name for name, *_ in differing_parts(left, right)] == ["reasoning", "audio"]
    assert unknown_parts(left) == ["audio"]
    assert read_parts(left)["audio"] == {"data": "a"}


def test_text_that_is_not_valid_unicode_has_a_form() -> None:
    rendered = render_parts({"refusal": "x\ud800"})
    assert rendered is not None
    assert rendered.encode("ascii")
    assert read_parts(rendered) == {"refusal": "x\ud800"}
