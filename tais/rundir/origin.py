"""Where an arm ran that did not run here: it came from a cache of arms (:mod:`tais.cache`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tais.common.files import canonical_json, read_ordinary, write_atomic
from tais.errors import Place, StoreError

__all__ = ["ORIGIN", "origin_of", "same_source", "write_origin"]

ORIGIN = "origin.json"
"""Stands beside the samples of an arm that ran in another run."""

_SCHEMA = "tais/origin/v1"
_KEYS = ("address", "entry", "run", "arm", "date", "machine", "tais")


def write_origin(arm_dir: Path, origin: Mapping[str, str]) -> None:
    """Write down where an arm ran, beside its samples."""
    said = {"schema": _SCHEMA, **{key: origin[key] for key in _KEYS}}
    write_atomic(arm_dir / ORIGIN, canonical_json(said) + b"\n")


def origin_of(arm_dir: Path) -> dict[str, str] | None:
    """Return where an arm that did not run here ran; None for one that did.

    Raises
    ------
    StoreError
        When the file is damaged.
    """
    path = arm_dir / ORIGIN
    if not path.exists() and not path.is_symlink():
        return None
    try:
        found = json.loads(read_ordinary(path))
        if found.pop("schema") != _SCHEMA:
            raise ValueError
        # What a report shows of it is text.
        return {key: str(found[key]) for key in _KEYS}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise StoreError(
            "this file does not say where the arm ran",
            place=Place(file=str(path)),
            remedy="Take the run directory from its backup, or run the screen again",
        ) from error


def same_source(one: Mapping[str, str] | None, other: Mapping[str, str] | None) -> bool:
    """Return whether two arms are copies of the same answers.

    Parameters
    ----------
    one, other
        Of :func:`origin_of`, or ``run`` and ``arm`` of an arm that ran in that run.
    """
    if one is None or other is None:
        return False
    return (one["run"], one["arm"]) == (other["run"], other["arm"])
