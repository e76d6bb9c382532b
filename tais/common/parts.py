"""What an answer says outside its content: tool calls, a refusal, reasoning, and what else a server sends.

Kept as one canonical JSON text beside the content, so that two answers say the same exactly where their
texts and these are equal byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import JsonValue, TypeAdapter

from tais.common.files import canonical_json

__all__ = ["PARTS", "differing_part", "differing_parts", "read_parts", "render_parts", "unknown_parts"]

PARTS = ("tool_calls", "refusal", "reasoning", "content_parts")
"""Names, in the order in which they are compared. content_parts: what a list of content holds beside text."""

_ANY_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
# A server makes them up anew at each call.
_VOLATILE = ("id", "index", "expires_at", "signature")


def render_parts(parts: Mapping[str, JsonValue]) -> str | None:
    """Return parts as canonical JSON; None where there is none.

    Ids of calls are left out: servers draw them, and they say nothing. Arguments that are JSON text are
    kept as they were written. A part that TAIS does not know is kept under its own name.

    Raises
    ------
    ValueError
        Where a number in it is none.
    """
    said = {name: _without_ids(part) for name, part in parts.items() if part not in (None, "", [], {})}
    return canonical_json(said).decode() if said else None


def _without_ids(part: JsonValue) -> JsonValue:
    """Return a part, or each of several, without what is drawn anew; what is deeper down is its own."""
    if isinstance(part, list):
        return [_without_ids(one) if isinstance(one, dict) else one for one in part]
    if isinstance(part, dict):
        return {key: value for key, value in part.items() if key not in _VOLATILE}
    return part


def unknown_parts(rendered: str | None) -> list[str]:
    """Return the names of parts that TAIS keeps and does not know."""
    return [name for name in read_parts(rendered) if name not in PARTS]


def read_parts(rendered: str | None) -> dict[str, JsonValue]:
    """Return parts as :func:`render_parts` wrote them; empty for an answer without any."""
    # Python's own parser takes half a surrogate pair, as a server may send one.
    return {} if rendered is None else _ANY_OBJECT.validate_python(json.loads(rendered))


def differing_part(reference: str | None, candidate: str | None) -> tuple[str, str, str] | None:
    """Return name and both renderings of the first part that differs; None where all are equal."""
    return next(differing_parts(reference, candidate), None)


def differing_parts(reference: str | None, candidate: str | None) -> Iterator[tuple[str, str, str]]:
    """Yield name and both renderings of each part that differs, those that TAIS knows first."""
    left, right = read_parts(reference), read_parts(candidate)
    for name in dict.fromkeys([*PARTS, *left, *right]):
        first, second = (
            canonical_json(side[name]).decode() if name in side else "" for side in (left, right)
        )
        if first != second:
            yield name, first, second
