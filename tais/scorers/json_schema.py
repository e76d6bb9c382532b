"""JSON answers against a schema, an expected value, or an expected tool call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.common.differences import equal
from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.json_answer import MalformedJson, parse_json
from tais.scorers.schema import check_schema, first_violation

__all__ = ["SchemaScorer", "ToolCallScorer"]


@dataclass(frozen=True, slots=True)
class SchemaScorer:
    """1 when the answer is JSON that fits a schema and, where one is given, equals a value.

    `expect` is ``{"schema": {...}}``, ``{"value": ...}`` or both. Objects are equal whatever their key order.
    """

    name: ClassVar[str] = "json_schema"
    version: ClassVar[str] = "2"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` has a schema that is supported, or a value."""
        if not isinstance(expect, Mapping) or not expect or not set(expect) <= {"schema", "value"}:
            raise ValueError(f"expect must hold a schema, a value or both, not {expect!r}")
        check_schema(expect.get("schema", {}), ("schema",))

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what it breaks."""
        if not text or text.isspace():
            return EMPTY
        value, failure = _parsed(text, finish_reason)
        if failure:
            return failure
        try:
            broken = first_violation(value, expect.get("schema", {}))
        except RecursionError:
            return Score(0.0, False, "nested_too_deeply")
        if broken:
            return Score(0.0, False, broken)
        if "value" in expect and not equal(value, expect["value"]):
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
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
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
        same = equal(call["arguments"], expect["arguments"])
        return Score(float(same), False, "match" if same else "other_arguments")


def _is_call(value: object) -> bool:
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
