"""The runs of a folder, whatever state they are in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from tais.errors import Place, TaisError, UsageError
from tais.rundir.layout import LOCK, RUN_BUNDLE, RunDir, check_finished
from tais.rundir.lock import read_lock
from tais.verdict.report import Verdict

__all__ = ["ListedRun", "list_runs"]

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


class _RunFacts(BaseModel):
    started: datetime | None = None


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
    return sorted(map(_listed, _run_dirs(folder)), key=lambda run: (run.date or last, run.path))


def _run_dirs(top: Path) -> Iterator[Path]:
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
    return ListedRun(name, run, date or _date(run), verdict, contrasts, signed, problem, str(run_dir))


def _date(run: str) -> datetime | None:
    try:
        return datetime.strptime(run, _RUN_ID).replace(tzinfo=UTC)
    except ValueError:
        return None
