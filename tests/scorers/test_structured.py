"""Schemas, tool calls and CAD programs."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.scorers.base import BadExpect
from tais.scorers.cad import parse_program, point_distances, solid_points
from tais.scorers.schema import first_violation
from tests.oracles.json_schema import first_violation as read_again
from tests.support import examples, get_scorer

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "s": {"type": ["string", "null"], "minLength": 1, "maxLength": 3, "pattern": "^a"},
        "l": {"type": "array", "items": {"enum": [1, "x", True, None]}, "minItems": 1, "uniqueItems": True},
        "c": {"const": {"k": [1]}},
    },
    "required": ["n"],
    "additionalProperties": False,
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from([1.0, 2.5, "a", "ab", "abcd", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("nslck"), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=examples(300), deadline=None)
@given(VALUES)
def test_what_a_value_breaks_first_is_what_a_second_reading_says(value: object) -> None:
    assert first_violation(value, SCHEMA) == read_again(value, SCHEMA)
    fits = jsonschema.Draft202012Validator(SCHEMA).is_valid(value)
    assert (first_violation(value, SCHEMA) is None) == fits


def test_a_schema_answer_is_read_by_structure_and_value() -> None:
    scorer = get_scorer("json_schema")
    assert scorer.score('{"n": 3}', {"schema": SCHEMA}).value == 1.0
    assert scorer.score('{"n": "3"}', {"schema": SCHEMA}).label == "$.n: type"
    assert scorer.score('{"m": 3}', {"schema": SCHEMA}).label == "$: required n"
    assert scorer.score('{"b": 1, "a": 2.0}', {"value": {"a": 2, "b": 1}}).value == 1.0
    assert scorer.score('{"a": true}', {"value": {"a": 1}}).label == "other_value"
    assert scorer.score('{"a": ', {"value": {}}, "length").label == "truncated"


DEEP: dict[str, object] = {}
for _ in range(400):
    DEEP = {"items": DEEP}


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (3, ()),
        (True, ()),
        ({"oneOf": []}, ()),
        ({"$ref": "#"}, ()),
        ({"$ref": "https://example.org/schema.json"}, ()),
        ({"properties": {"a": {"items": {"$ref": "#"}}}}, ("properties", "a", "items")),
        ({"properties": {"a": {"typ": "x"}}}, ("properties", "a")),
        ({1: 2}, ()),
        ({"type": "float"}, ("type",)),
        ({"type": [["x"]]}, ("type",)),
        ({"type": []}, ("type",)),
        ({"minItems": "3"}, ("minItems",)),
        ({"maxLength": -1}, ("maxLength",)),
        ({"minimum": True}, ("minimum",)),
        ({"minimum": math.nan}, ()),
        ({"required": "a"}, ("required",)),
        ({"required": [1]}, ("required", 0)),
        ({"properties": [1]}, ("properties",)),
        ({"properties": {"a": 3}}, ("properties", "a")),
        ({"items": {"properties": {"a": {"minItems": 1.5}}}}, ("items", "properties", "a", "minItems")),
        ({"additionalProperties": {"pattern": "["}}, ("additionalProperties", "pattern")),
        ({"pattern": "a{1000}{1000}"}, ("pattern",)),
        ({"pattern": "^(?!b)"}, ("pattern",)),
        ({"pattern": r"(a)\1"}, ("pattern",)),
        (DEEP, ()),
    ],
)
def test_a_schema_that_is_none_is_refused_with_the_key(schema: object, path: tuple[str | int, ...]) -> None:
    with pytest.raises(BadExpect, match=r"schema|type") as caught:
        get_scorer("json_schema").check_expect({"schema": schema})
    assert caught.value.path == ("schema", *path)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a*)*b$", "(.*a){20}$", "a*a*a*a*a*a*b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    expect = {"schema": {"type": "string", "pattern": pattern}}
    scorer = get_scorer("json_schema")
    scorer.check_expect(expect)
    started = time.process_time()
    assert scorer.score(json.dumps("a" * 20_000 + "!"), expect).label == "$: pattern"
    assert time.process_time() - started < 1


def test_a_long_list_of_many_types_is_read_for_repeats_at_once() -> None:
    expect = {"schema": {"uniqueItems": True}}
    values: list[object] = [{"n": n} for n in range(3000)] + [[n, True] for n in range(3000)]
    scorer = get_scorer("json_schema")
    started = time.process_time()
    assert scorer.score(json.dumps([*values, [0, 1], "x"]), expect).label == "valid"
    assert scorer.score(json.dumps([*values, [0, True], "x"]), expect).label == "$: uniqueItems"
    assert time.process_time() - started < 1


def test_the_first_of_many_violations_in_a_long_answer_is_found_at_once() -> None:
    expect = {"schema": {"additionalProperties": {"type": "integer"}}}
    text = json.dumps({f"k{n}": "x" for n in range(3000)})
    started = time.process_time()
    assert get_scorer("json_schema").score(text, expect).label == "$.k0: type"
    assert time.process_time() - started < 1


def test_an_answer_that_is_nested_too_deeply_for_a_schema_is_scored() -> None:
    expect = {"schema": {"uniqueItems": True}}
    deep = "[" * 700 + "]" * 700
    score = get_scorer("json_schema").score(f"[{deep}, {deep}]", expect)
    assert (score.value, score.label) == (0.0, "nested_too_deeply")


@pytest.mark.parametrize("keyword", ["items", "additionalProperties"])
def test_a_schema_that_allows_nothing_more_is_kept_to(keyword: str) -> None:
    scorer = get_scorer("json_schema")
    assert scorer.score("[1]" if keyword == "items" else '{"a": 1}', {"schema": {keyword: False}}).value == 0


CALL = {"name": "move", "arguments": {"count": 2, "to": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"name": "move", "arguments": {"to": [1, 2], "count": 2}}', "match"),
        ('<tool_call>\n{"name": "move", "arguments": {"count": 2, "to": [1, 2]}}\n</tool_call>', "match"),
        ('{"name": "move", "arguments": "{\\"count\\": 2, \\"to\\": [1, 2]}"}', "match"),
        ('{"name": "move", "arguments": {"count": "2", "to": [1, 2]}}', "other_arguments"),
        ('{"name": "stay", "arguments": {"count": 2, "to": [1, 2]}}', "other_tool"),
        ('{"name": "move"}', "not_a_call"),
        ('{"name": "move", "arguments": "{"}', "not_a_call"),
        ("move(2)", "unparseable"),
    ],
)
def test_tool_calls(text: str, label: str) -> None:
    score = get_scorer("tool_call").score(text, CALL)
    assert score.label == label
    assert score.value == (label == "match")


def part(*features: dict[str, Any]) -> dict[str, Any]:
    return {"part": list(features)}


def rect(width: float, height: float, low: float = 0, high: float = 10, **more: Any) -> dict[str, Any]:
    shape = {"rect": {"x": 0, "y": 0, "width": width, "height": height}}
    return {"sketch": [shape], "extrude": {"from": low, "to": high}} | more


def circle(radius: float, low: float = 0, high: float = 10, **more: Any) -> dict[str, Any]:
    return {
        "sketch": [{"circle": {"x": 0, "y": 0, "radius": radius}}],
        "extrude": {"from": low, "to": high},
    } | more


def cad(wanted: dict[str, Any], given: dict[str, Any], **parameters: Any) -> str:
    scorer = get_scorer({"name": "cad", **parameters})
    scorer.check_expect(wanted)
    return scorer.score(json.dumps(given), wanted).label


def test_the_same_solid_written_differently_matches() -> None:
    corners = [[-20, -10], [20, -10], [20, 10], [-20, 10]]
    polygon = {"sketch": [{"polygon": {"points": corners}}], "extrude": {"from": 0, "to": 10}}
    halves = (rect(40, 20, 0, 5), rect(40, 20, 5, 10))
    assert cad(part(rect(40, 20)), part(polygon)) == "match"
    assert cad(part(rect(40, 20)), part(*halves)) == "match"
    assert cad(part(rect(40, 20)), part(polygon), match="structure") == "other_structure"


def test_another_solid_does_not_match() -> None:
    wanted = part(rect(40, 20), circle(5, mode="cut"))
    assert cad(wanted, part(rect(40, 20))) == "other_solid"
    assert cad(wanted, part(rect(40, 20), circle(5))) == "other_solid"
    assert cad(wanted, part(rect(40, 30), circle(5, mode="cut"))) == "other_solid"
    assert cad(wanted, part(rect(4000, 20))) == "other_solid"
    assert cad(wanted, part(rect(40, 20), circle(8, mode="cut")), match="structure") == "match"
    assert cad(wanted, part(rect(40, 20), rect(100, 100, mode="cut"))) == "other_solid"


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"part": []}, "not_a_part"),
        ([], "not_a_part"),
        (part(rect(40, 20, 5, 5)), "bad_extrude"),
        (part(rect(40, 20, mode="glue")), "bad_extrude"),
        (part(rect(0, 20)), "bad_size"),
        (part(rect(True, 20)), "bad_number"),
        (part(rect(1e300, 20)), "bad_number"),
        (part({"sketch": [{"oval": {}}], "extrude": {"from": 0, "to": 1}}), "bad_shape"),
        (part({"sketch": [], "extrude": {"from": 0, "to": 1}}), "bad_sketch"),
        (part({"sketch": [{"rect": {}}]}), "bad_feature"),
        (part(circle(5, mode="cut")), "empty_solid"),
    ],
)
def test_a_program_that_is_malformed_says_how(given: Any, label: str) -> None:
    assert cad(part(rect(40, 20)), given) == label


def test_volumes_of_known_solids() -> None:
    # A 10 x 10 x 10 box, and a cylinder of radius 5 and height 10: 1000 and 250 pi.
    spacing = 0.25
    for program, volume in ((part(rect(10, 10)), 1000), (part(circle(5)), 250 * math.pi)):
        origin = np.array([-5, -5, 0]) + spacing / 2
        points = solid_points(parse_program(program), spacing, origin, (40, 40, 40))
        assert len(points) * spacing**3 == pytest.approx(volume, rel=0.01)


def test_distances_of_a_shift() -> None:
    # Two single points one apart: 1 each way. A third point 3 away is the farthest, and half of one mean.
    single, shifted = np.zeros((1, 3)), np.array([[1.0, 0, 0]])
    assert point_distances(single, shifted) == (2.0, 1.0)
    assert point_distances(single, np.array([[0, 0, 0], [3.0, 0, 0]])) == (1.5, 3.0)


def test_a_small_hole_that_is_missing_is_seen_and_a_rounded_number_is_not() -> None:
    hole = {
        "sketch": [{"circle": {"x": 30, "y": 20, "radius": 3}}],
        "extrude": {"from": 0, "to": 10},
        "mode": "cut",
    }
    assert cad(part(rect(120, 80), hole), part(rect(120, 80))) == "other_solid"
    assert cad(part(rect(120, 80)), part(rect(120.2, 80))) == "match"


def test_parameters_are_checked() -> None:
    with pytest.raises(Exception, match="match must be"):
        get_scorer({"name": "cad", "match": "looks"})
    with pytest.raises(ValueError, match="sketch-and-extrude"):
        get_scorer("cad").check_expect({"part": []})
