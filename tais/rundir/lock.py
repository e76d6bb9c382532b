"""manifest.lock.json: everything that is fixed before the first token.

Two runs with equal locks asked the same stacks the same questions under the same rules. A lock holds no
time, no path of a machine and no measurement, so that it can be compared key by key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.differences import Difference, leaf_differences
from tais.common.files import canonical_json, json_digest, sha256_file, write_atomic
from tais.errors import Place, StoreError
from tais.rundir.layout import LOCK

if TYPE_CHECKING:
    pass

__all__ = ["compare_locks", "lock_digest", "read_lock", "run_arms", "write_lock"]


def run_arms(lock: Mapping[str, Any]) -> list[str]:
    """Return the arms that a run holds, sorted: those of its contrasts, and in a recording all."""
    if lock.get("record"):
        return sorted(lock["arms"])
    used = {contrast["candidate"] for contrast in lock["contrasts"]}
    # A reference that only scores answers nothing.
    used |= {contrast["reference"] for contrast in lock["contrasts"] if contrast.get("audit") != "only"}
    return sorted(used)


def write_lock(path: Path, lock: Mapping[str, Any]) -> str:
    """Write a lock and return the sha256 (hex) of its bytes."""
    data = json.dumps(lock, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()


def read_lock(run_dir: Path) -> dict[str, Any]:
    """Read the lock of a run directory.

    Raises
    ------
    StoreError
        When it is missing, damaged or of another schema.
    """
    path = run_dir / LOCK
    try:
        lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            "this is no run directory: its lock is missing or damaged",
            place=Place(file=str(path)),
            remedy="Name a directory that `tais run` made",
        ) from error
    if not isinstance(lock, dict) or lock.get("schema") != "tais/lock/v1":
        raise StoreError("this lock has an unknown schema", place=Place(file=str(path)))
    return lock


def lock_digest(run_dir: Path) -> str:
    """Return the sha256 (hex) of the lock's bytes as stored."""
    return sha256_file(run_dir / LOCK)


def compare_locks(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two locks, by dotted key; the manifest's own text comes last.

    The text may differ in a comment alone, so it is named only where nothing it says does.
    """
    if json_digest(before) == json_digest(now):
        return []
    found = leaf_differences(*(json.loads(canonical_json(_listed(side))) for side in (before, now)))
    return sorted(found, key=lambda difference: difference.key.startswith("manifest."))


def _listed(value: Any) -> Any:
    """Return nested data with lists as mappings by index, so that a difference names one element."""
    if isinstance(value, Mapping):
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return {str(index): _listed(item) for index, item in enumerate(value)}
    return value
