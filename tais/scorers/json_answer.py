"""An answer that must be one JSON object."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

from tais.scorers.base import EMPTY, Exchange, Score

__all__ = ["JsonScorer", "MalformedJson", "parse_json"]

_FENCE = re.compile(r"\s*```[A-Za-z]*[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)


class MalformedJson(ValueError):
    """An answer is not the JSON it should be; `label` says how."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.label = label


def parse_json(text: str) -> Any:
    """Parse an answer as JSON; one fenced block around all of it is taken off.

    Raises
    ------
    MalformedJson
        Does not parse, repeats a key, or holds NaN or Infinity, which RFC 8259 does not have.
    """
    # Prose is told from JSON by its first character.
    if text.lstrip()[:1] not in _FIRST:
        raise MalformedJson("unparseable")
    fenced = _FENCE.match(text)
    try:
        return _DECODER.decode(fenced[1] if fenced else text)
    except MalformedJson:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedJson("unparseable") from error


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedJson("duplicate_key")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson("not_a_number")


_FIRST = frozenset('{["-0123456789tfnNI`')
# One decoder for all answers: `json.loads` makes a new one at each call with hooks.
_DECODER = json.JSONDecoder(object_pairs_hook=_distinct_keys, parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class JsonScorer:
    """1 when the answer is one JSON object with the required keys.

    `expect` is a list of required keys, or null for any JSON value. An answer that was cut off before it
    could parse is invalid as well as 0; one that is complete and malformed is a plain 0.
    """

    name: ClassVar[str] = "json"
    version: ClassVar[str] = "1"
    kind: ClassVar[Literal["binary", "continuous"]] = "binary"
    exchange: ClassVar[Exchange] = "different"

    def check_expect(self, expect: object) -> None:
        """Raise ValueError unless `expect` is null or a list of keys."""
        if expect is None or (isinstance(expect, list) and all(isinstance(key, str) for key in expect)):
            return
        raise ValueError(f"expect must be null or a list of required keys, not {expect!r}")

    def score(self, text: str, expect: Any, finish_reason: str | None = None) -> Score:
        """Score one answer; the label says what is wrong with it."""
        if not text or text.isspace():
            return EMPTY
        cut = finish_reason == "length"
        try:
            value = parse_json(text)
        except MalformedJson as error:
            cut = cut and error.label == "unparseable"
            return Score(0.0, cut, "truncated" if cut else error.label)
        if cut and not isinstance(value, (dict, list)):
            # A number cut off in the middle still parses.
            return Score(0.0, True, "truncated")
        if expect is not None and not isinstance(value, dict):
            return Score(0.0, False, "not_an_object")
        if any(key not in value for key in expect or ()):
            return Score(0.0, False, "missing_key")
        return Score(1.0, False, "valid")
