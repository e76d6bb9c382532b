"""Answers that must be calls of tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tais.scorers.answer import Reads
from tais.scorers.base import EMPTY, Exchange, Score
from tais.scorers.json_answer import MalformedJson
from tais.scorers.tool_calls import Call, NotACall, read_calls, same_arguments

__all__ = ["ToolCallScorer"]


@dataclass(frozen=True, slots=True)
class ToolCallScorer:
    """1 when the answer is the expected call, name and arguments, types included.

    `expect` is ``{"name": "...", "arguments": {...}}``, or a list of such calls, in any order. Calls that a
    server tells apart from the text go before the text; there, the forms of the current families are read
    (:mod:`tais.scorers.tool_calls`). An answer in none of them is invalid.
    """

    name: ClassVar[str] = "tool_call"
    version: ClassVar[str] = "3"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"
    reads: ClassVar[Reads] = "calls"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is a call, or a list of calls."""
        calls = expect if isinstance(expect, list) else [expect]
        if not calls or not all(map(_is_call, calls)):
            raise ValueError(
                f"expect must be a mapping of name and arguments, or a list of them, not {expect!r}"
            )

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what differs."""
        if not text or text.isspace():
            return EMPTY
        try:
            calls = read_calls(text)
        except MalformedJson as error:
            unparseable = error.label == "unparseable"
            cut = unparseable and finish_reason == "length"
            return Score(0.0, unparseable, "truncated" if cut else error.label)
        except NotACall as error:
            return Score(0.0, False, str(error))
        label = _compared(calls, expect if isinstance(expect, list) else [expect])
        return Score(float(label == "match"), False, label)


def _compared(calls: Sequence[Call], expected: Sequence[Mapping[str, Any]]) -> str:
    """Return what tells calls from those expected, in any order; `match` where nothing does."""
    if len(calls) != len(expected):
        return "more_calls" if len(calls) > len(expected) else "fewer_calls"
    left = list(calls)
    for wanted in expected:
        named = [call for call in left if call.name == wanted["name"] or _bare(call.name) == wanted["name"]]
        same = next((call for call in named if same_arguments(call.arguments, wanted["arguments"])), None)
        if same is None:
            return "other_arguments" if named else "other_tool"
        left.remove(same)
    return "match"


def _bare(name: str) -> str:
    """Return a name without the namespace of harmony, or of Gemini's Python."""
    return name.removeprefix("functions.").removeprefix("default_api.")


def _is_call(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"name", "arguments"}
        and isinstance(value["name"], str)
        and isinstance(value["arguments"], Mapping)
        and json.dumps(value["arguments"]) is not None
    )
