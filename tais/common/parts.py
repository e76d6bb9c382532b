"""What an answer says outside its content: calls of tools, a refusal, reasoning.

Kept as one canonical JSON text beside the content, so that two answers say the same exactly where their
texts and these are equal byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter

from tais.common.files import canonical_json

__all__ = ["PARTS", "differing_part", "read_parts", "render_parts"]

PARTS = ("tool_calls", "refusal", "reasoning", "content_parts")
"""Names, in the order in which they are compared. content_parts: what a list of content holds beside text."""

_ANY_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
# A server makes them up anew at each call.
_VOLATILE = ("id", "index")


def render_parts(parts: Mapping[str, JsonValue]) -> str | None:
    """Return parts as canonical JSON; None where there is none.

    Ids of calls are left out: servers draw them, and they say nothing. Arguments that are JSON text are
    kept as they were written.

    Raises
    ------
    ValueError
        Where a number in it is none.
    """
    said = {name: parts[name] for name in PARTS if parts.get(name) not in (None, "", [], {})}
    if not said:
        return None
    if isinstance(calls := said.get("tool_calls"), list):
        said["tool_calls"] = [_without_ids(call) for call in calls]
    return canonical_json(said).decode()


def _without_ids(call: JsonValue) -> JsonValue:
    if not isinstance(call, dict):
        return call
    return {key: value for key, value in call.items() if key not in _VOLATILE}


def read_parts(rendered: str | None) -> dict[str, JsonValue]:
    """Return parts as :func:`render_parts` wrote them; empty for an answer without any."""
    # Python's own parser takes half a surrogate pair, as a server may send one.
    return {} if rendered is None else _ANY_OBJECT.validate_python(json.loads(rendered))


def differing_part(reference: str | None, candidate: str | None) -> tuple[str, str, str] | None:
    """Return name and both renderings of the first part that differs; None where all are equal."""
    left, right = read_parts(reference), read_parts(candidate)
    for name in dict.fromkeys([*PARTS, *left, *right]):
        first, second = (
            canonical_json(side[name]).decode() if name in side else "" for side in (left, right)
        )
        if first != second:
            return name, first, second
    return None
