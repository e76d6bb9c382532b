"""manifest.lock.json: everything that is fixed before the first token.

Two runs with equal locks asked the same stacks the same questions under the same rules. A lock holds no
time, no path of a machine and no measurement, so that it can be compared key by key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from pydantic import JsonValue, ValidationError

from tais.common.differences import Difference, leaf_differences
from tais.common.files import json_digest, read_ordinary, sha256_file, write_atomic
from tais.common.jsonlines import parse_json
from tais.errors import Place, StoreError
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedArm, plain

__all__ = [
    "asked_digest",
    "compare_locks",
    "lock_digest",
    "parse_lock",
    "read_lock",
    "stack_digest",
    "write_lock",
]


def write_lock(run_dir: Path, lock: Lock) -> str:
    """Write the lock of a run directory and return the sha256 (hex) of its bytes."""
    data = lock.to_bytes()
    write_atomic(RunDir(run_dir).lock, data)
    return hashlib.sha256(data).hexdigest()


def read_lock(run_dir: Path) -> Lock:
    """Read the lock of a run directory.

    Raises
    ------
    StoreError
        When it is missing, damaged or of another schema, with the first key that does not fit.
    """
    path = RunDir(run_dir).lock
    try:
        data = read_ordinary(path)
    except OSError as error:
        raise _damaged(str(path)) from error
    return parse_lock(data, str(path))


def parse_lock(data: bytes, file: str) -> Lock:
    """Read the bytes of a lock.

    Parameters
    ----------
    data
        As stored.
    file
        Name for errors.

    Raises
    ------
    StoreError
        As :func:`read_lock`.
    """
    try:
        value = parse_json(data.decode())
    except (ValueError, RecursionError) as error:
        raise _damaged(file) from error
    if not isinstance(value, dict) or value.get("schema") != "tais/lock/v1":
        raise StoreError("this lock has an unknown schema", place=Place(file=file))
    try:
        # Strict JSON is pydantic's name for exactly these types: numbers stay numbers, lists fill tuples.
        return Lock.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        what = " ".join(f"this is not what TAIS writes into a lock: {first['msg']}".split())
        raise StoreError(what, place=Place(file=file, key=key or None), remedy=_REMEDY) from error


_REMEDY = "Take the run directory from its backup; a lock of a newer TAIS needs that TAIS"


def _damaged(file: str) -> StoreError:
    return StoreError(
        "this is no run directory: its lock is missing or damaged",
        place=Place(file=file),
        remedy="Name a directory that `tais run` made",
    )


def lock_digest(run_dir: Path) -> str:
    """Return the sha256 (hex) of the lock's bytes as stored."""
    return sha256_file(RunDir(run_dir).lock)


def asked_digest(lock: Lock) -> str:
    """Return the digest of what a screen asks, whatever its manifest says in comments and TAIS is called.

    Two attempts at one screen have the same, so that running until it passes is counted.
    """
    # Memory that was free is no question.
    left_out = ("manifest", "versions", "rules_version", "name", "memory")
    return json_digest({key: value for key, value in plain(lock).items() if key not in left_out})


def stack_digest(arm: LockedArm) -> str:
    """Return the digest of a serving stack as a lock fixes it: engine, weights, settings."""
    return json_digest(plain(arm))


def compare_locks(before: Lock, now: Lock, keys: Collection[str] | None = None) -> list[Difference]:
    """Return what differs between two locks, by dotted key; the manifest's own text comes last.

    The text may differ in a comment alone, so it is named only where nothing it says does.

    Parameters
    ----------
    before, now
        The locks.
    keys
        Keys of a lock to compare; None compares all.
    """
    found = leaf_differences(*(_listed(_part(lock, keys)) for lock in (before, now)))
    return sorted(found, key=lambda difference: difference.key.startswith("manifest."))


def _part(lock: Lock, keys: Collection[str] | None) -> dict[str, JsonValue]:
    return {key: value for key, value in plain(lock).items() if keys is None or key in keys}


def _listed(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return nested data with lists as mappings by index, so that a difference names one element."""
    return {key: _indexed(item) for key, item in value.items()}


def _indexed(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    return _listed(value) if isinstance(value, dict) else value
