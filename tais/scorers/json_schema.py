"""JSON answers against a schema or an expected value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.common.differences import equal
from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.json_answer import MalformedJson, parse_json
from tais.scorers.schema import check_schema, first_violation

__all__ = ["SchemaScorer"]


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


def _parsed(text: str, finish_reason: str | None) -> tuple[Any, Score | None]:
    try:
        return parse_json(text), None
    except MalformedJson as error:
        cut = finish_reason == "length" and error.label == "unparseable"
        return None, Score(0.0, cut, "truncated" if cut else error.label)
