"""One arm from its engine's start to its last part, inside the worker process."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.engines import create_engine
from tais.engines.base import Sample
from tais.engines.environment import describe_environment
from tais.engines.resolved import Difference, compare_resolved
from tais.errors import Place, StoreError
from tais.files import canonical_json, write_atomic
from tais.items import read_requests
from tais.manifest import Arm, Sampling
from tais.samples import PartWriter, exclusive, stored_keys

if TYPE_CHECKING:
    from tais.engines.worker import Events, Job

__all__ = ["ArmRun"]

_PROGRESS_SECONDS = 0.2


class ArmRun:
    """The state of one arm's run.

    Parameters
    ----------
    job
        ``arm`` and ``sampling`` (as of the manifest), ``items`` (path), ``arm_dir``, ``log``,
        ``part_samples`` and ``part_seconds``.
    events
        Where progress goes.
    """

    def __init__(self, job: Job, events: Events) -> None:
        self.arm = Arm.model_validate(job["arm"])
        self.name = self.arm.name
        self.sampling = Sampling.model_validate(job["sampling"])
        self.job = job
        self.events = events
        self.phase = "start"
        self.writer: PartWriter | None = None
        self.engine = create_engine(self.arm.engine)
        self.tally = {"done": 0, "tokens": 0, "draft_tokens": 0, "accepted_tokens": 0}
        self._last_part = self._last_progress = time.monotonic()

    def execute(self) -> None:
        """Start the engine, write down what it resolved to, answer what is missing, store it."""
        arm_dir = Path(self.job["arm_dir"])
        self.guard = exclusive(arm_dir)
        done = stored_keys(arm_dir)
        requests = read_requests(Path(self.job["items"]), self.sampling, self.arm.system_prompt)
        missing = [request for request in requests if request.key not in done]
        self._enter("load", total=len(requests), done=len(done))
        if not missing:
            return
        # Before the engine starts, as engines leave marks of their own in the environment.
        environment = describe_environment()
        resolved = self.engine.start(self.arm)
        self._enter("check")
        self.engine.check(missing, self.sampling)
        self.writer = PartWriter(arm_dir)
        self._record(arm_dir / "engine.json", {"resolved": resolved, "environment": environment})
        if self.arm.order == "shuffled":
            # The same shuffle on every attempt and machine; another one per arm.
            random.Random(f"{self.sampling.seed}/{self.name}").shuffle(missing)
        self._enter("generate")
        for sample in self.engine.generate(missing, self.sampling):
            self._take(sample)
        self.keep_finished()
        self._enter("close")
        self.engine.close()

    def _record(self, path: Path, now: dict[str, Any]) -> None:
        """Write engine.json, or make sure that a resumed arm runs what the interrupted one ran."""
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

    def _take(self, sample: Sample | None) -> None:
        assert self.writer is not None
        if sample is not None:
            self.writer.add(sample)
            self.tally["done"] += 1
            self.tally["tokens"] += len(sample.token_ids or ())
            self.tally["draft_tokens"] += sum(sample.step_drafted or ())
            self.tally["accepted_tokens"] += sum(sample.step_accepted or ())
        now = time.monotonic()
        full = len(self.writer) >= self.job["part_samples"]
        if full or (len(self.writer) and now - self._last_part >= self.job["part_seconds"]):
            self.keep_finished()
        if now - self._last_progress >= _PROGRESS_SECONDS:
            self._last_progress = now
            self.events.send("progress", arm=self.name, **self.tally)

    def keep_finished(self) -> None:
        """Store the samples that are finished."""
        if self.writer is not None and len(self.writer):
            self.writer.flush(self.engine.counters())
            self._last_part = time.monotonic()
            self.events.send("progress", arm=self.name, **self.tally)

    def failed(self, kind: str, message: str) -> int:
        """Tell the run why this arm ends, and return the exit status."""
        keep: Callable[[], None] = self.keep_finished
        if kind != "store":
            keep()
        self.events.send("failed", arm=self.name, phase=self.phase, kind=kind, message=message)
        return 1

    def _enter(self, phase: str, **values: int) -> None:
        self.phase = phase
        self.events.send("phase", arm=self.name, phase=phase, pid=os.getpid(), **values)


def _first(differences: list[Difference]) -> str:
    first = differences[0]
    more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
    return f"{first.key} was {first.reference!r} and is {first.candidate!r}{more}"
