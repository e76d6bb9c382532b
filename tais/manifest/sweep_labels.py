"""How a sweep names what it expands to: short enough for a file, plain enough to read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tais.common.document import Document, Path_, show
from tais.errors import ManifestError, Place

__all__ = ["Label", "arm_name", "labels_of", "short_name"]

MOST_CHARACTERS = 100
"""Of the name of an arm, which becomes the name of a folder."""

# What people call these settings.
_SHORT = {
    "async_scheduling": "async",
    "block_size": "block",
    "enable_chunked_prefill": "chunked",
    "enable_prefix_caching": "cache",
    "enforce_eager": "eager",
    "max_num_batched_tokens": "batched",
    "max_num_seqs": "seqs",
    "num_speculative_tokens": "n",
    "rejection_sample_method": "rejection",
}
_GIVEN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,39}", re.ASCII)
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Label:
    """One value of an axis with its names."""

    text: str
    """In tables and figures, beside the name of its axis."""
    token: str
    """In the name of an arm."""
    value: Any


def short_name(key: str) -> str:
    """Return the short name of a dotted key: its last part, or what people call it."""
    last = key.rsplit(".", 1)[-1]
    return _SHORT.get(last, _UNFIT.sub("-", last))


def labels_of(
    values: list[Any] | dict[str, Any], name: str, document: Document, at: Path_
) -> tuple[Label, ...]:
    """Return the values of an axis with their labels.

    Parameters
    ----------
    values
        As written: a list, or a mapping from labels to values.
    name
        Short name of the axis.
    document, at
        Where they stand.

    Raises
    ------
    ManifestError
        For fewer than two values, a value or a label given twice, and one that cannot be named.
    """
    given = isinstance(values, dict)
    pairs = list(values.items()) if isinstance(values, dict) else [(None, value) for value in values]
    labels: list[Label] = []
    for index, (label, value) in enumerate(pairs):
        place = document.place((*at, label if label is not None else index))
        made = _labelled(label, value, place) if label is not None else _label(value, name, place)
        for other in labels:
            if (
                made.text == other.text
                or made.token == other.token
                or json.dumps(made.value, sort_keys=True) == json.dumps(other.value, sort_keys=True)
            ):
                remedy = "Values of an axis differ" if given else "Give labels: {LABEL: VALUE}"
                what = f"{show(value)} stands there twice, or is called as another value is"
                raise ManifestError(what, place=place, remedy=remedy)
        labels.append(made)
    if len(labels) < 2:
        remedy = "Write a single value into the arm"
        raise ManifestError("an axis needs two values or more", place=document.place(at), remedy=remedy)
    return tuple(labels)


def _labelled(label: str, value: Any, place: Place) -> Label:
    if not _GIVEN.fullmatch(label):
        remedy = "Use 1 to 40 of the characters A-Z a-z 0-9 . _ - and no dot in front"
        raise ManifestError(f"{show(label)} cannot be a label", place=place, remedy=remedy)
    return Label(label, label, value)


def _label(value: Any, name: str, place: Place) -> Label:
    if value is None:
        return Label("default", f"{name}-default", value)
    if isinstance(value, bool):
        return Label("on" if value else "off", name if value else f"no-{name}", value)
    if isinstance(value, int | float):
        return Label(f"{value:g}" if isinstance(value, float) else str(value), f"{name}{value}", value)
    # Of a path or a name on a hub, the last part.
    text = _UNFIT.sub("-", value.rstrip("/").rsplit("/", 1)[-1]).strip("-") if isinstance(value, str) else ""
    if not text:
        remedy = "Give it one: {LABEL: VALUE}"
        raise ManifestError(f"{show(value)} needs a label", place=place, remedy=remedy)
    return Label(text[:40], text[:40], value)


def arm_name(base: str, labels: Sequence[Label], place: Place) -> str:
    """Return the name of an expanded arm, such as ``target.seqs8.no-cache``.

    Raises
    ------
    ManifestError
        When it is too long for a name.
    """
    name = ".".join([base, *(label.token for label in labels if label.token)])
    if len(name) > MOST_CHARACTERS:
        remedy = "Give values short labels: axes: {KEY: {LABEL: VALUE}}"
        what = f"the name of an arm would have {len(name)} characters: {show(name)}"
        raise ManifestError(what, place=place, remedy=remedy)
    return name
