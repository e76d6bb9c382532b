"""Plain data into a pydantic model, strictly; what does not fit is said in the words of the file's author."""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tais.common.document import Document, Path_, show, suggest
from tais.errors import ManifestError

__all__ = ["check_keys", "validate"]

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "none_required": "nothing",
    "string_type": "a string",
    "tuple_type": "a list",
}
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def validate(model: type[ModelT], data: object, document: Document, root: Path_ = ()) -> ModelT:
    """Read `data` as a `model`.

    Strict: a quoted number is no number and ``true`` is no whole number, but ``1`` is fine where a float
    is due, a list where a tuple is and a string where an enumeration is.

    Parameters
    ----------
    model
        Pydantic model; unknown keys are refused where it says so.
    data
        What :mod:`tais.common.yaml12` read, whole or in part.
    document
        Gives the lines.
    root
        Where in the document `data` stands.

    Raises
    ------
    ManifestError
        For the first thing that does not fit, an unknown key before anything else.
    """
    for path in _not_finite(data):
        raise ManifestError("must be a finite number", place=document.place((*root, *path)))
    try:
        # Strict JSON is pydantic's name for exactly these types: numbers stay numbers, lists fill tuples.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise _translated(error, model, data, document, root) from error


def check_keys(document: Document, path: Path_, data: object, known: Iterable[str]) -> None:
    """Raise ManifestError unless `data`, which stands at `path`, is a mapping of known keys only."""
    if not isinstance(data, dict):
        raise ManifestError(f"must be a mapping, not {show(data)}", place=document.place(path))
    names = tuple(known)
    for key in data:
        if key not in names:
            raise _unknown(document, (*path, key), names)


def _unknown(document: Document, path: Path_, known: Iterable[str]) -> ManifestError:
    remedy = suggest(str(path[-1]), known, "Known keys")
    return ManifestError(f"unknown key {show(path[-1])}", place=document.place(path), remedy=remedy)


def _not_finite(data: object, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the paths of infinities and NaNs: no rule means them and no JSON file can hold them."""
    if isinstance(data, float) and not math.isfinite(data):
        yield path
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _not_finite(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _not_finite(value, (*path, index))


def _translated(
    error: ValidationError, model: type[BaseModel], data: object, document: Document, root: Path_
) -> ManifestError:
    found = [(_data_path(one["loc"], one["type"], data), one) for one in error.errors(include_url=False)]
    for path, one in found:
        if one["type"] == "extra_forbidden":
            return _unknown(document, (*root, *path), _known_keys(model, one["loc"][:-1]))
    # Of a union, the deepest error belongs to the member that the author meant.
    first = found[0][0]
    within = [(path, one) for path, one in found if path[: len(first)] == first]
    deepest = max((path for path, _ in within), key=len)
    same = [one for path, one in within if path == deepest]
    what, remedy = _said(same)
    if same[0]["type"] == "missing":
        what, deepest = f"the key {show(deepest[-1])} is missing", deepest[:-1]
    return ManifestError(what, place=document.place((*root, *deepest)), remedy=remedy)


def _said(errors: list[Any]) -> tuple[str, str | None]:
    """Return what is wrong with one value, and the remedy, from all errors about it."""
    error, given = errors[0], show(errors[0].get("input"))
    kind, context = error["type"], error.get("ctx", {})
    wanted = list(dict.fromkeys(_EXPECTED[one["type"]] for one in errors if one["type"] in _EXPECTED))
    if wanted:
        return f"must be {' or '.join(wanted)}, not {given}", _quotes(wanted, error["input"])
    if kind in ("enum", "literal_error"):
        expected = str(context["expected"])
        names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
        remedy = suggest(error["input"], names) if isinstance(error["input"], str) else ""
        return f"must be {expected}, not {given}", remedy if remedy.startswith("Did") else None
    if kind in _LIMITS:
        words, name = _LIMITS[kind]
        return f"must be {words} {context[name]:g}, not {given}", None
    if kind == "string_too_short":
        return "must not be empty", None
    if kind == "too_short":
        return f"needs at least {context['min_length']} entries, not {context['actual_length']}", None
    if kind == "value_error":
        return " ".join(str(context["error"]).split()), None
    if kind == "string_pattern_mismatch":
        return f"{given} does not match {context['pattern']}", None
    return " ".join(str(error["msg"]).split()), None


def _quotes(wanted: list[str], given: object) -> str | None:
    """Return the remedy where only the quotes are wrong."""
    if wanted == ["a string"] and isinstance(given, bool | int | float):
        return "Put quotes around it"
    if wanted[0].endswith("number") and isinstance(given, str) and _NUMBER.fullmatch(given):
        return "Leave the quotes out"
    if wanted == ["true or false"] and isinstance(given, str):
        return "Write true or false, without quotes"
    return None


def _data_path(loc: tuple[str | int, ...], kind: str, data: Any) -> Path_:
    """Return the part of a pydantic location that is in the data: it also names members of unions."""
    path: Path_ = ()
    for part in loc:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            path, data = (*path, part), data[part]
    return (*path, loc[-1]) if kind == "missing" else path


def _known_keys(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the model that stands at `loc` inside `model`."""
    models = [model]
    for part in loc:
        fields = [one.model_fields[str(part)] for one in models if str(part) in one.model_fields]
        # A part that is no field is an index, a key of a mapping or a union member: the same models stay.
        models = [inner for field in fields for inner in _models_in(field.annotation)] or models
        models = [one for one in models if one.__name__ == part] or models
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]
