"""The ledger: an append-only record of every attempt at a screen.

It lies beside the run directories, so that running until it passes is visible. Each line holds the
sha256 of the line before it: a line that is edited or removed later breaks the chain. A last line that was
cut short, by a full disk or a power cut, is no edit: it is taken off before the next line is written, and
an entry says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tais.common.files import store_error
from tais.errors import Place, StoreError

__all__ = ["append", "attempts", "attempts_at", "ledger_entries", "read_ledger"]


_REMEDY = "The ledger was edited: restore it from its backup, or start in another --out directory"

Entry = dict[str, Any]


def append(path: Path, entry: Mapping[str, object], *, check: bool = False) -> str:
    """Append one entry, durably, and return the sha256 (hex) of its line.

    Parameters
    ----------
    path
        The ledger; made where there is none.
    entry
        What is said; it has a ``run`` and a ``time``.
    check
        Whether to read the chain first, and to refuse a ledger that was edited.

    Raises
    ------
    StoreError
        When the ledger cannot be written, or was edited.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            # Two runs at once must not take the same line as the one before theirs.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            data = file.read()
            lines, torn = _whole(data)
            if check:
                list(_chained(path, lines))
            if torn:
                file.truncate(len(data) - len(torn))
                lines.append(_write(file, _note(entry, torn), lines))
            elif data and not data.endswith(b"\n"):
                file.write(b"\n")
            line = _write(file, entry, lines)
    except OSError as error:
        raise store_error(error, path) from error
    return hashlib.sha256(line).hexdigest()


def _whole(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines, and a last one that was cut short."""
    *lines, last = data.split(b"\n")
    entry = _entry(last)
    if entry is not None and entry.get("previous") == _digest(lines):
        # It lacks nothing but its end.
        return [*lines, last], b""
    return lines, last


def _digest(lines: Sequence[bytes]) -> str:
    """Return what the next line says of the one before it."""
    return hashlib.sha256(lines[-1] if lines else b"").hexdigest()


def _note(entry: Mapping[str, object], torn: bytes) -> dict[str, object]:
    """Return what is said of a line that was cut short: by which run it was found, and what it was."""
    found = {key: entry[key] for key in ("run", "time")}
    return {"event": "torn", **found, "bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}


def _write(file: BinaryIO, entry: Mapping[str, object], lines: Sequence[bytes]) -> bytes:
    line = json.dumps({**entry, "previous": _digest(lines)}, sort_keys=True).encode()
    file.write(line + b"\n")
    file.flush()
    os.fsync(file.fileno())
    return line


def read_ledger(path: Path) -> list[Entry]:
    """Return all entries; a last line that was cut short is none.

    Raises
    ------
    StoreError
        When a line is no JSON object, or the chain is broken there.
    """
    return list(_chained(path, _whole(path.read_bytes())[0])) if path.exists() else []


def ledger_entries(path: Path) -> list[Entry]:
    """Return the entries of a ledger whose chain was checked already, when the run began.

    An edit since then is for the next run to refuse: this one's answers are no worse for it.
    """
    if not path.exists():
        return []
    return [entry for line in _whole(path.read_bytes())[0] if (entry := _entry(line)) is not None]


def attempts_at(path: Path, line: str, manifest_digest: str, asked: str | None = None) -> list[Entry] | None:
    """Return the attempts at a manifest that stood in a ledger when one of its lines was the last.

    Parameters
    ----------
    path
        The ledger.
    line
        sha256 (hex) of that line.
    manifest_digest, asked
        As of :func:`attempts`.

    Returns
    -------
    list of Entry
        None where the ledger has no such line.
    """
    lines = _whole(path.read_bytes())[0] if path.exists() else []
    digests = [hashlib.sha256(one).hexdigest() for one in lines]
    if line not in digests:
        return None
    entries = [entry for one in lines[: digests.index(line) + 1] if (entry := _entry(one)) is not None]
    return attempts(entries, manifest_digest, asked)


def _chained(path: Path, lines: Sequence[bytes]) -> Iterator[Entry]:
    for index, line in enumerate(lines):
        where, entry = Place(file=str(path), line=index + 1), _entry(line)
        if entry is None:
            raise StoreError("this line is no JSON", place=where, remedy=_REMEDY)
        if entry.get("previous") != _digest(lines[max(0, index - 1) : index]):
            raise StoreError("this line does not follow the one before it", place=where, remedy=_REMEDY)
        yield entry


def _entry(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def attempts(entries: list[Entry], manifest_digest: str, asked: str | None = None) -> list[Entry]:
    """Return every run of what is asked: id, start, outcome (``unfinished`` where no end was written).

    A resumed run is one attempt, with its last outcome. A run whose lines are gone is one, too.

    Parameters
    ----------
    entries
        Of the ledger.
    manifest_digest
        sha256 (hex) of the manifest, by which entries of older versions are told.
    asked
        Of :func:`tais.rundir.lock.asked_digest`: a comment in the manifest makes no other screen.
    """
    runs: dict[str, Entry] = {}
    for entry in entries:
        for gone in _gone(entry, asked):
            runs.setdefault(gone, {"run": gone, "started": "", "outcome": "not in the ledger"})
        told = entry.get("asked")
        known = told is not None and asked is not None
        if (told != asked) if known else (entry.get("manifest") != manifest_digest):
            continue
        run = runs.setdefault(
            entry["run"], {"run": entry["run"], "started": entry["time"], "outcome": "unfinished"}
        )
        if entry["event"] == "end":
            run["outcome"] = entry["outcome"]
    return list(runs.values())


def _gone(entry: Entry, asked: str | None) -> list[str]:
    """Return the runs of what is asked that an entry names as missing from the ledger."""
    listed = entry.get("runs") if entry.get("event") == "cut" else None
    return [str(run) for run, digest in listed.items() if digest == asked] if isinstance(listed, dict) else []
