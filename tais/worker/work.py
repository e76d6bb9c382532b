"""What every job of a worker shares: phases, progress, and parts that are stored as they fill."""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

from tais.common.differences import Difference
from tais.common.files import canonical_json, write_atomic
from tais.errors import Place, StoreError
from tais.records import Counters
from tais.rundir.engine_record import compare_resolved
from tais.rundir.samples import TableWriter
from tais.worker.protocol import AnswerJob, Events, Job, ShardJob, TeacherForcingJob

__all__ = ["StoringWork", "Work"]

T = TypeVar("T")

_PROGRESS_SECONDS = 0.2


class Work(ABC):
    """The state of one job.

    Parameters
    ----------
    job
        What is to be done.
    events
        Where progress goes.
    """

    def __init__(self, job: Job, events: Events) -> None:
        self.job, self.arm, self.name, self.sampling = job, job.arm, job.arm.name, job.sampling
        self.events = events
        self.phase = "start"
        self.tally = {"done": 0, "tokens": 0}

    @abstractmethod
    def execute(self) -> None:
        """Do the job."""

    def keep_finished(self) -> None:
        """Store what is finished, where anything is stored."""
        return

    def failed(self, kind: str, message: str, **values: object) -> int:
        """Tell the run why this job ends, and return the exit status."""
        if kind != "store":
            self.keep_finished()
        self.events.send("failed", arm=self.name, phase=self.phase, kind=kind, message=message, **values)
        return 1

    def enter(self, phase: str, **values: int) -> None:
        """Tell the run which phase begins."""
        self.phase = phase
        self.events.send("phase", arm=self.name, phase=phase, pid=os.getpid(), **values)

    def tell_progress(self) -> None:
        """Tell the run how far the job is."""
        self.events.send("progress", arm=self.name, **self.tally)


class StoringWork(Work, Generic[T]):
    """The state of one job that stores what it makes in parts."""

    def __init__(self, job: AnswerJob | ShardJob | TeacherForcingJob, events: Events) -> None:
        super().__init__(job, events)
        self.storing = job
        self.writer: TableWriter[T] | None = None
        self._last_part = self._last_progress = time.monotonic()

    def counters(self) -> Counters | None:
        """Return the engine's counters since the last part, where it has any."""
        return None

    def keep_finished(self) -> None:
        """Store what is finished."""
        if self.writer is not None and len(self.writer):
            path = self.writer.flush(self.counters())
            self._last_part = time.monotonic()
            if path is not None and self.storing.stored is not None:
                self.events.send("part", arm=self.name, path=str(path))
            self.tell_progress()

    def keep_pace(self) -> None:
        """Store a part that is full or old, and tell of progress."""
        assert self.writer is not None
        now = time.monotonic()
        full = len(self.writer) >= self.storing.part_samples
        if full or (len(self.writer) and now - self._last_part >= self.storing.part_seconds):
            self.keep_finished()
        if now - self._last_progress >= _PROGRESS_SECONDS:
            self._last_progress = now
            self.tell_progress()

    def record(self, path: Path, now: Mapping[str, Mapping[str, object]]) -> None:
        """Write engine.json, or make sure that a resumed job runs what the interrupted one ran."""
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            # Free memory differs from day to day and decides nothing but how many requests run at once; what
            # was found in files of answers follows from their digests and from what is asked.
            changed = [
                difference
                for part in ("resolved", "environment")
                for difference in compare_resolved(before[part], now[part], ())
                if difference.key.partition(".")[0] not in ("cache_config", "imported")
            ]
            if changed:
                raise StoreError(
                    f"the engine now resolves to another configuration than before the interruption: "
                    f"{_first(changed)}",
                    place=Place(file=str(path)),
                    remedy="Restore it, or start a new run without --resume",
                )
        else:
            write_atomic(path, canonical_json(now) + b"\n")
            if self.storing.stored is not None:
                self.events.send("resolved", arm=self.name, path=str(path))


def _first(differences: list[Difference]) -> str:
    first = differences[0]
    more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
    return f"{first.key} was {first.reference!r} and is {first.candidate!r}{more}"
