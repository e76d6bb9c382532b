"""A second reading of JSON Schema's keywords, written without a library: what a value breaks first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


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
