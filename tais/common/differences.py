"""Nested data compared, key by key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["ABSENT", "Difference", "differences", "equal", "flatten", "leaf_differences", "same_json"]

ABSENT = "(absent)"
"""Stands for the value of a key that one side lacks."""
# Beside a relative tolerance: of figures near 0.
_ABSOLUTE = 1e-12


class Difference(NamedTuple):
    """One place in which two values differ."""

    key: str
    """Dotted, with the index of an element in brackets."""
    reference: object
    candidate: object


def differences(reference: object, candidate: object, *, tolerance: float = 0.0) -> Iterator[Difference]:
    """Yield where two JSON values differ, in mappings and in lists of one length.

    Parameters
    ----------
    reference, candidate
        JSON values; `True` is not 1, but 1.0 is.
    tolerance
        Relative difference up to which two numbers are equal.
    """
    return _differences(reference, candidate, tolerance, "")


def _differences(before: object, now: object, tolerance: float, key: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            inner = f"{key}.{name}" if key else str(name)
            if name in before and name in now:
                yield from _differences(before[name], now[name], tolerance, inner)
            else:
                yield Difference(inner, before.get(name, ABSENT), now.get(name, ABSENT))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (left, right) in enumerate(zip(before, now, strict=True)):
            yield from _differences(left, right, tolerance, f"{key}[{index}]")
    elif not _equal(before, now, tolerance):
        yield Difference(key, before, now)


def _equal(before: object, now: object, tolerance: float) -> bool:
    if isinstance(before, bool) or isinstance(now, bool):
        return before is now
    if isinstance(before, float | int) and isinstance(now, float | int):
        # Whole numbers beyond the largest float are JSON, too.
        return before == now or (
            tolerance > 0 and math.isclose(before, now, rel_tol=tolerance, abs_tol=_ABSOLUTE)
        )
    return type(before) is type(now) and before == now


def equal(reference: object, candidate: object) -> bool:
    """Return whether two JSON values are the same, as JSON Schema says it: 1 is 1.0, and no `True`."""
    return next(differences(reference, candidate), None) is None


def same_json(reference: object, candidate: object) -> bool:
    """Return whether two values are the same JSON text: neither `True` nor 1.0 is 1."""
    return json.dumps(reference, sort_keys=True) == json.dumps(candidate, sort_keys=True)


def leaf_differences(
    reference: Mapping[str, object], candidate: Mapping[str, object], absent: object = ABSENT
) -> list[Difference]:
    """Return in which leaves two nested mappings differ, sorted by dotted key; a list is a leaf.

    Parameters
    ----------
    reference, candidate
        Nested mappings.
    absent
        Stands for the value of a key that one side lacks.
    """
    left, right = dict(flatten(reference)), dict(flatten(candidate))
    found = (
        Difference(key, left.get(key, absent), right.get(key, absent)) for key in left.keys() | right.keys()
    )
    return sorted((one for one in found if one.reference != one.candidate), key=lambda one: one.key)


def flatten(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield (dotted key, leaf) of nested mappings."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
