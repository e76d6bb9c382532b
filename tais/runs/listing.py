"""The runs of a folder, whatever state they are in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ValidationError

from tais.attest.bundle import claimed_key
from tais.common.files import read_ordinary
from tais.errors import Place, TaisError, UsageError, VerificationError
from tais.rundir.layout import LOCK, RUN_BUNDLE, RunDir, check_finished
from tais.rundir.lock import read_lock
from tais.verdict.report import Verdict

__all__ = ["ListedRun", "list_runs", "run_dirs", "started"]

# As a run names its directory.
_RUN_ID = "%Y%m%dT%H%M%S%fZ"


class ListedRun(NamedTuple):
    """One run in a few words."""

    name: str | None
    """Of its manifest."""
    run: str
    date: datetime | None
    """When it started."""
    verdict: str | None
    contrasts: int | None
    signed: bool
    """Whether a signature lies there; nobody has checked it."""
    problem: str | None
    """Why there is no verdict."""
    path: str
    key: str | None = None
    """Fingerprint of the key that its signature names; nobody has checked it."""


class _RunFacts(BaseModel):
    started: AwareDatetime | None = None


class _Facts(BaseModel):
    run: _RunFacts = _RunFacts()


class _Head(BaseModel):
    """What a list reads of a report; the rest, which may be long, is passed over."""

    verdict: Verdict
    facts: _Facts = _Facts()


def list_runs(folder: Path) -> list[ListedRun]:
    """Return the runs in a folder and in those below it, oldest first.

    Raises
    ------
    UsageError
        When there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", place=Place(str(folder)), remedy="Name the --out of your runs")
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(map(_listed, run_dirs(folder)), key=lambda run: (run.date or last, run.path))


def run_dirs(top: Path) -> Iterator[Path]:
    """Yield the run directories in a folder and in those below it."""
    for folder, below, files in os.walk(top):
        if LOCK in files:
            # A run holds no other run.
            below.clear()
            yield Path(folder)


def _listed(run_dir: Path) -> ListedRun:
    run = run_dir.resolve().name
    name = contrasts = head = problem = None
    try:
        lock = read_lock(run_dir)
        name, contrasts = lock.name, len(lock.contrasts)
        check_finished(run_dir)
        head = _Head.model_validate_json(RunDir(run_dir).report.read_bytes())
    except TaisError as error:
        problem = error.what
    except (OSError, ValidationError):
        problem = "its report is damaged"
    date = head.facts.run.started if head else None
    verdict = head.verdict.value if head else None
    signed = (run_dir / RUN_BUNDLE).is_file()
    said = (verdict, contrasts, signed, problem, str(run_dir))
    return ListedRun(name, run, date or _date(run), *said, _key(run_dir / RUN_BUNDLE))


def _key(bundle: Path) -> str | None:
    try:
        return claimed_key(read_ordinary(bundle), str(bundle))
    except (OSError, VerificationError):
        return None


def started(run_dir: Path) -> float:
    """Return when a run began, in seconds since 1970: by its directory's name, else by its lock's age."""
    date = _date(run_dir.resolve().name)
    return date.timestamp() if date else (run_dir / LOCK).stat().st_mtime


def _date(run: str) -> datetime | None:
    try:
        return datetime.strptime(run, _RUN_ID).replace(tzinfo=UTC)
    except ValueError:
        return None
