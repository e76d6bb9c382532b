"""JSON Schemas of batteries: checked at load, compiled once, and what an answer breaks first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Final, Protocol, cast

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from tais.common.document import Path_, suggest
from tais.common.text import one_line
from tais.scorers.base import BadExpect

__all__ = ["check_schema", "first_violation"]

# What batteries use; any other keyword is refused at load, never ignored: an ignored keyword passes answers.
# Nothing here refers to another schema, so that a schema cannot go in circles or reach for the network.
# In the order in which a label names them where an answer breaks several.
_LABELS: Final = {
    "type": "type",
    "const": "const",
    "enum": "enum",
    "required": "required",
    "minItems": "length",
    "maxItems": "length",
    "uniqueItems": "uniqueItems",
    "minLength": "length",
    "maxLength": "length",
    "pattern": "pattern",
    "minimum": "range",
    "maximum": "range",
    "additionalProperties": "additionalProperties",
    "items": "items",
}
_KEYWORDS: Final = frozenset({*_LABELS, "properties", "description"})
_ORDER: Final = {keyword: rank for rank, keyword in enumerate(_LABELS)}

_Rank = tuple[tuple[int, int], ...]


class _Violation(Protocol):
    """What is read of jsonschema's errors."""

    validator: str
    validator_value: object
    instance: object
    schema: Mapping[str, object]
    absolute_path: Sequence[str | int]


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterator[_Violation]: ...


def check_schema(schema: object, path: Path_ = ()) -> None:
    """Raise BadExpect unless a schema is one, of JSON Schema 2020-12, with the supported keywords only.

    Parameters
    ----------
    schema
        As the battery says it.
    path
        Keys that lead to it, for the error.
    """
    if not isinstance(schema, Mapping):
        raise BadExpect(f"a schema must be a mapping, not {one_line(repr(schema))}", path)
    try:
        _check_keywords(schema, path)
        text = json.dumps(schema, allow_nan=False)
    except RecursionError as error:
        raise BadExpect("the schema is nested too deeply", path) from error
    except (TypeError, ValueError) as error:
        if isinstance(error, BadExpect):
            raise
        raise BadExpect(f"the schema is no JSON: {error}", path) from error
    if problem := _problem(text):
        what, inner = problem
        raise BadExpect(what, (*path, *inner))


def _check_keywords(schema: Mapping[object, object], path: Path_) -> None:
    for key in schema:
        if key not in _KEYWORDS:
            remedy = suggest(str(key), _KEYWORDS)
            raise BadExpect(f"schema keyword {one_line(repr(key), 60)} is not supported. {remedy}", path)
    for key, inner in _inner_schemas(schema):
        if not isinstance(inner, Mapping):
            what = f"a schema must be a mapping, not {one_line(repr(inner))}"
            raise BadExpect(what, (*path, *key))
        _check_keywords(inner, (*path, *key))


def _inner_schemas(schema: Mapping[object, object]) -> Iterator[tuple[Path_, object]]:
    properties = schema.get("properties")
    # Of another type, the meta-schema refuses it.
    if isinstance(properties, Mapping):
        yield from ((("properties", str(name)), inner) for name, inner in properties.items())
    for key in ("items", "additionalProperties"):
        if key in schema and not isinstance(schema[key], bool):
            yield (key,), schema[key]


@lru_cache(maxsize=4096)
def _problem(text: str) -> tuple[str, Path_] | None:
    """Return what makes a schema none, and where in it; checked once per distinct schema."""
    # Heavy.
    from jsonschema import Draft202012Validator, exceptions

    schema = json.loads(text)
    try:
        Draft202012Validator.check_schema(schema)
    except exceptions.SchemaError as error:
        path: Path_ = tuple(error.absolute_path)
        return f"schema keyword {_keyword(path)!r}: {one_line(error.message)}", path
    except RecursionError:
        return "the schema is nested too deeply", ()
    return _bad_pattern(schema, ())


def _keyword(path: Path_) -> str:
    return next((str(step) for step in reversed(path) if step in _KEYWORDS), "type")


def _bad_pattern(schema: Mapping[object, object], path: Path_) -> tuple[str, Path_] | None:
    if "pattern" in schema:
        try:
            _pattern(str(schema["pattern"]))
        except SchemaError as error:
            reason = str(error).strip().rpartition("\n")[2].strip().removeprefix("error: ")
            return f"schema keyword 'pattern': {reason}", (*path, "pattern")
    inside = ((key, inner) for key, inner in _inner_schemas(schema) if isinstance(inner, Mapping))
    found = (_bad_pattern(inner, (*path, *key)) for key, inner in inside)
    return next((problem for problem in found if problem), None)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> TypeAdapter[str]:
    """Compile a pattern for pydantic's engine, whose time grows with the text alone.

    Python's own would hang on ``^(a+)+$``. The price: no look-around and no back references, which the
    engine refuses, and ``$`` is the end of the text, as in JSON Schema, not before a last line break.
    """
    return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])


def _matches(pattern: str, text: str) -> bool:
    try:
        _pattern(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=4096)
def _compiled(text: str) -> _Validator:
    """Return the validator of a schema in JSON; compiled once per distinct schema."""
    # Heavy.
    from jsonschema import Draft202012Validator, exceptions, validators

    def pattern(_: object, pattern: str, instance: object, __: object) -> Iterable[Exception]:
        if isinstance(instance, str) and not _matches(pattern, instance):
            yield exceptions.ValidationError("does not match")

    def distinct(_: object, wanted: bool, instance: object, __: object) -> Iterable[Exception]:
        # jsonschema compares all pairs where values cannot be sorted: seconds on a long mixed list.
        if wanted and isinstance(instance, list) and len({*map(_identity, instance)}) < len(instance):
            yield exceptions.ValidationError("has a value twice")

    ours = validators.extend(Draft202012Validator, {"pattern": pattern, "uniqueItems": distinct})
    return cast(_Validator, ours(json.loads(text)))


def _identity(value: object) -> object:
    """Return what equal JSON values have in common; Python takes True for 1, JSON does not."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("list", tuple(map(_identity, value)))
    if isinstance(value, dict):
        return ("dict", frozenset((key, _identity(inner)) for key, inner in value.items()))
    return value


def first_violation(value: object, schema: Mapping[str, object]) -> str | None:
    """Return the first place and keyword that a value breaks, or None where it fits.

    First in the order of the value: what an object or a list breaks itself, then what stands in it.
    """
    errors = list(_compiled(json.dumps(schema)).iter_errors(value))
    if not errors:
        return None
    orders: dict[int, dict[object, int]] = {}
    return _label(min(errors, key=lambda error: _rank(error, value, orders)))


def _rank(error: _Violation, value: object, orders: dict[int, dict[object, int]]) -> _Rank:
    steps: list[tuple[int, int]] = []
    for step in error.absolute_path:
        steps.append((1, _position(value, step, orders)))
        value = cast(dict[str | int, object], value)[step]
    if error.validator == "additionalProperties":
        return (*steps, (1, _position(value, _named(error), orders)))
    return (*steps, (0, _ORDER[error.validator or "items"]))


def _position(node: object, step: str | int, orders: dict[int, dict[object, int]]) -> int:
    if isinstance(step, int):
        return step
    if id(node) not in orders:
        orders[id(node)] = {key: index for index, key in enumerate(cast(dict[str, object], node))}
    return orders[id(node)][step]


def _label(error: _Violation) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    keyword = error.validator or "items"
    named = f" {_named(error)}" if keyword in ("required", "additionalProperties") else ""
    return f"${place}: {_LABELS[keyword]}{named}"


def _named(error: _Violation) -> str:
    """Return the first key that is missing, or the first that is too much."""
    there = cast(dict[str, object], error.instance)
    if error.validator == "required":
        return next(key for key in cast(list[str], error.validator_value) if key not in there)
    known = error.schema.get("properties", {})
    return next(key for key in there if key not in cast(dict[str, object], known))
