"""The ledger: an append-only record of every attempt at a screen.

It lies beside the run directories, so that running until it passes is visible. Each line holds the
sha256 of the line before it: a line that is edited or removed later breaks the chain.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tais.common.files import store_error
from tais.errors import Place, StoreError

__all__ = ["append", "attempts", "read_ledger"]


_NOTHING = hashlib.sha256(b"").hexdigest()


def append(path: Path, entry: dict[str, Any]) -> str:
    """Append one entry, durably, and return the sha256 (hex) of its line.

    Raises
    ------
    StoreError
        When the ledger cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            # Two runs at once must not take the same line as the one before theirs.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            lines = file.read().splitlines()
            previous = hashlib.sha256(lines[-1]).hexdigest() if lines else _NOTHING
            line = json.dumps({**entry, "previous": previous}, sort_keys=True).encode()
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise store_error(error, path) from error
    return hashlib.sha256(line).hexdigest()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return all entries.

    Raises
    ------
    StoreError
        When a line is no JSON object, or the chain is broken there.
    """
    if not path.exists():
        return []
    entries, previous = [], _NOTHING
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        where = Place(file=str(path), line=number)
        remedy = "The ledger was edited: restore it from its backup, or start in another --out directory"
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise StoreError("this line is no JSON", place=where, remedy=remedy) from error
        if entry.get("previous") != previous:
            raise StoreError("this line does not follow the one before it", place=where, remedy=remedy)
        previous = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    return entries


def attempts(entries: list[dict[str, Any]], manifest_digest: str) -> list[dict[str, Any]]:
    """Return every run of a manifest: id, start, outcome (``unfinished`` where no end was written).

    A resumed run is one attempt, with its last outcome.
    """
    runs: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.get("manifest") != manifest_digest:
            continue
        run = runs.setdefault(
            entry["run"], {"run": entry["run"], "started": entry["time"], "outcome": "unfinished"}
        )
        if entry["event"] == "end":
            run["outcome"] = entry["outcome"]
    return list(runs.values())
