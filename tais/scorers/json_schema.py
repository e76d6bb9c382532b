"""JSON answers against a schema, an expected value, or an expected tool call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.common.document import suggest
from tais.scorers.base import EMPTY, Score
from tais.scorers.json_answer import MalformedJson, parse_json

__all__ = ["SchemaScorer", "ToolCallScorer", "check_schema", "first_violation"]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
# What batteries use; any other keyword is refused at load, never ignored: an ignored keyword passes answers.
_KEYWORDS = frozenset(
    {
        *("type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems"),
        *(
            "maxItems",
            "uniqueItems",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "pattern",
            "description",
        ),
    }
)


def check_schema(schema: Any) -> None:
    """Raise ValueError unless a schema uses known keywords of JSON Schema only."""
    if not isinstance(schema, Mapping):
        raise ValueError(f"a schema must be a mapping, not {schema!r}")
    for key in schema:
        if key not in _KEYWORDS:
            raise ValueError(f"schema keyword {key!r} is not supported. {suggest(str(key), _KEYWORDS)}")
    _check_keyword_values(schema)
    for name in _type_names(schema):
        if name not in _TYPES:
            raise ValueError(f"no JSON type {name!r}. {suggest(str(name), _TYPES)}")
    for inner in schema.get("properties", {}).values():
        check_schema(inner)
    for key in ("items", "additionalProperties"):
        if key in schema and not isinstance(schema[key], bool):
            check_schema(schema[key])


def _check_keyword_values(schema: Mapping[str, Any]) -> None:
    for key, kinds in (
        ("type", (str, list)),
        ("enum", (list,)),
        ("required", (list,)),
        ("properties", (Mapping,)),
    ):
        if key in schema and not isinstance(schema[key], kinds):
            raise ValueError(f"schema keyword {key!r} has the wrong type: {schema[key]!r}")
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError) as error:
        raise ValueError(f"schema keyword 'pattern' is no regular expression: {error}") from error


def first_violation(value: Any, schema: Mapping[str, Any], path: str = "$") -> str | None:
    """Return the first place and keyword that a value breaks, or None where it fits.

    JSON Schema 2020-12 semantics of the supported keywords; 1.0 is an integer there and true is no number.
    """
    names = _type_names(schema)
    if names and not any(_is_type(value, name) for name in names):
        return f"{path}: type"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{path}: const"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"{path}: enum"
    if isinstance(value, dict):
        return _object_violation(value, schema, path)
    if isinstance(value, list):
        return _array_violation(value, schema, path)
    return _scalar_violation(value, schema, path)


def _type_names(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _same(a: Any, b: Any) -> bool:
    # Python takes True for 1; JSON does not.
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _object_violation(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> str | None:
    for key in schema.get("required", ()):
        if key not in value:
            return f"{path}: required {key}"
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, inner in value.items():
        if key not in properties and rest is False:
            return f"{path}: additionalProperties {key}"
        inside = properties.get(key, rest)
        if not isinstance(inside, bool) and (found := first_violation(inner, inside, f"{path}.{key}")):
            return found
    return None


def _array_violation(value: list[Any], schema: Mapping[str, Any], path: str) -> str | None:
    if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
        return f"{path}: length"
    if schema.get("uniqueItems") and any(_same(a, b) for i, a in enumerate(value) for b in value[:i]):
        return f"{path}: uniqueItems"
    items = schema.get("items", True)
    for index, inner in enumerate(value):
        if not isinstance(items, bool) and (found := first_violation(inner, items, f"{path}[{index}]")):
            return found
    return None


def _scalar_violation(value: Any, schema: Mapping[str, Any], path: str) -> str | None:
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return f"{path}: length"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return f"{path}: pattern"
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"{path}: range"
    return None


@dataclass(frozen=True, slots=True)
class SchemaScorer:
    """1 when the answer is JSON that fits a schema and, where one is given, equals a value.

    `expect` is ``{"schema": {...}}``, ``{"value": ...}`` or both. Objects are equal whatever their key order.
    """

    name: ClassVar[str] = "json_schema"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"

    def check_expect(self, expect: Any) -> None:
        """Raise ValueError unless `expect` has a schema that is supported, or a value."""
        if not isinstance(expect, Mapping) or not expect or not set(expect) <= {"schema", "value"}:
            raise ValueError(f"expect must hold a schema, a value or both, not {expect!r}")
        check_schema(expect.get("schema", {}))

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what it breaks."""
        if not text or text.isspace():
            return EMPTY
        value, failure = _parsed(text, finish_reason)
        if failure:
            return failure
        if broken := first_violation(value, expect.get("schema", {})):
            return Score(0.0, False, broken)
        if "value" in expect and not _same(value, expect["value"]):
            return Score(0.0, False, "other_value")
        return Score(1.0, False, "valid")


_TAGGED = re.compile(r"\s*<tool_call>(.*?)</tool_call>\s*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolCallScorer:
    """1 when the answer is the expected tool call, name and arguments, types included.

    `expect` is ``{"name": "...", "arguments": {...}}``. An answer is one such JSON object, bare, fenced or in
    ``<tool_call>`` tags; arguments may be JSON text, as OpenAI's interface gives them.
    """

    name: ClassVar[str] = "tool_call"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"

    def check_expect(self, expect: Any) -> None:
        """Raise ValueError unless `expect` is a call."""
        if not _is_call(expect):
            raise ValueError(f"expect must be a mapping of name and arguments, not {expect!r}")

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what differs."""
        if not text or text.isspace():
            return EMPTY
        tagged = _TAGGED.match(text)
        call, failure = _parsed(tagged[1] if tagged else text, finish_reason)
        if failure:
            return failure
        if isinstance(call, dict) and isinstance(call.get("arguments"), str):
            arguments, failure = _parsed(call["arguments"], None)
            call = call | {"arguments": arguments}
        if failure or not _is_call(call):
            return Score(0.0, False, "not_a_call")
        if call["name"] != expect["name"]:
            return Score(0.0, False, "other_tool")
        same = _same(call["arguments"], expect["arguments"])
        return Score(float(same), False, "match" if same else "other_arguments")


def _is_call(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"name", "arguments"}
        and isinstance(value["name"], str)
        and isinstance(value["arguments"], Mapping)
        and json.dumps(value["arguments"]) is not None
    )


def _parsed(text: str, finish_reason: str | None) -> tuple[Any, Score | None]:
    try:
        return parse_json(text), None
    except MalformedJson as error:
        cut = finish_reason == "length" and error.label == "unparseable"
        return None, Score(0.0, cut, "truncated" if cut else error.label)
