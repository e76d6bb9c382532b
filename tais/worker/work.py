"""What every job of a worker shares: phases, progress, and parts that are stored as they fill."""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.differences import Difference
from tais.common.files import canonical_json, write_atomic
from tais.errors import Place, StoreError
from tais.manifest.model import Arm, Sampling
from tais.rundir.engine_record import compare_resolved
from tais.rundir.samples import TableWriter

if TYPE_CHECKING:
    from tais.records import Counters
    from tais.worker.protocol import Events, Job

__all__ = ["Work"]

_PROGRESS_SECONDS = 0.2


class Work(ABC):
    """The state of one job.

    Parameters
    ----------
    job
        ``arm`` and ``sampling`` (as of the manifest), ``items`` (path), ``arm_dir``, ``log``,
        ``part_samples`` and ``part_seconds``. With ``stored``, that folder holds what is done already, and
        every part in ``arm_dir`` is told of, so that it is collected from there.
    events
        Where progress goes.
    """

    writer: TableWriter[Any] | None

    def __init__(self, job: Job, events: Events) -> None:
        self.arm = Arm.model_validate(job["arm"])
        self.name = self.arm.name
        self.sampling = Sampling.model_validate(job["sampling"])
        self.job = job
        self.events = events
        self.phase = "start"
        self.writer = None
        self.tally = {"done": 0, "tokens": 0}
        self._last_part = self._last_progress = time.monotonic()

    @abstractmethod
    def execute(self) -> None:
        """Do the job."""

    def counters(self) -> Counters | None:
        """Return the engine's counters since the last part, where it has any."""
        return None

    def keep_finished(self) -> None:
        """Store what is finished."""
        if self.writer is not None and len(self.writer):
            path = self.writer.flush(self.counters())
            self._last_part = time.monotonic()
            if path is not None and "stored" in self.job:
                self.events.send("part", arm=self.name, path=str(path))
            self.events.send("progress", arm=self.name, **self.tally)

    def failed(self, kind: str, message: str) -> int:
        """Tell the run why this job ends, and return the exit status."""
        if kind != "store":
            self.keep_finished()
        self.events.send("failed", arm=self.name, phase=self.phase, kind=kind, message=message)
        return 1

    def enter(self, phase: str, **values: int) -> None:
        """Tell the run which phase begins."""
        self.phase = phase
        self.events.send("phase", arm=self.name, phase=phase, pid=os.getpid(), **values)

    def keep_pace(self) -> None:
        """Store a part that is full or old, and tell of progress."""
        assert self.writer is not None
        now = time.monotonic()
        full = len(self.writer) >= self.job["part_samples"]
        if full or (len(self.writer) and now - self._last_part >= self.job["part_seconds"]):
            self.keep_finished()
        if now - self._last_progress >= _PROGRESS_SECONDS:
            self._last_progress = now
            self.events.send("progress", arm=self.name, **self.tally)

    def stored(self) -> Path:
        """Return the folder that holds what is done already."""
        return Path(self.job["stored"] if "stored" in self.job else self.job["arm_dir"])

    def record(self, path: Path, now: dict[str, Any]) -> None:
        """Write engine.json, or make sure that a resumed job runs what the interrupted one ran."""
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            # Free memory differs from day to day and decides nothing but how many requests run at once.
            changed = [
                difference
                for part in ("resolved", "environment")
                for difference in compare_resolved(before[part], now[part], ())
                if not difference.key.startswith("cache_config.")
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
            if "stored" in self.job:
                self.events.send("resolved", arm=self.name, path=str(path))


def _first(differences: list[Difference]) -> str:
    first = differences[0]
    more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
    return f"{first.key} was {first.reference!r} and is {first.candidate!r}{more}"
