"""What runs on a node of a cluster: an actor that keeps a worker process of its own, and answers for it.

The engine lives in a child of that process, as on one machine: two engines in one process break vLLM, and
a crash must leave somebody who can tell of it. Nothing here imports Ray; the driver makes the actor.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from tais.common.machine import describe_environment
from tais.errors import EngineError, TaisError
from tais.executors.process import WorkerDeath, WorkerProcess, worker_environment
from tais.executors.staging import STAGING, Depot, Shared, open_depot
from tais.rundir.layout import LOGS
from tais.worker.protocol import ArmEvent, Job, Shard, ShardJob, StoringJob, TeacherForcingJob

__all__ = ["Host", "Setup", "Told", "engine_variables", "probe"]


class Log(TypedDict):
    """What is new in a log."""

    name: str
    text: str


class Ended(TypedDict):
    """How an attempt ended that did not end well."""

    what: str
    place: str | None
    remedy: str | None
    kind: str


class Told(TypedDict, total=False):
    """One of these; nothing where a worker is only alive. Plain data: Ray carries it between machines."""

    event: dict[str, object]
    """An :class:`ArmEvent`."""
    log: Log
    failure: Ended
    death: Ended


class Probed(TypedDict):
    """What a node is, and whether it reaches the shared path."""

    environment: dict[str, Any]
    shared: str
    """Empty, or why it cannot be used here."""


# Of these the driver's own count on every node; devices and networks are the node's.
_OWN = re.compile(
    r"(VLLM|OMP|KMP|MKL|OPENBLAS|TORCH|TORCHINDUCTOR|PYTORCH|XLA|HF|TOKENIZERS|TRANSFORMERS|TAIS)_[A-Z0-9_]+"
)
_SECRET = re.compile(r"KEY|TOKEN(?!IZERS)|SECRET|PASSWORD|CREDENTIAL")
_BATCH_SECONDS = 0.2
R = TypeVar("R", ShardJob, TeacherForcingJob, Shard)
_LOG_BYTES = 1 << 16


def engine_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what engines read of a process's environment, without anything secret."""
    return {k: v for k, v in environment.items() if _OWN.fullmatch(k) and not _SECRET.search(k)}


@dataclass(frozen=True, slots=True)
class Setup:
    """What every worker of a run is told."""

    run_dir: str
    """Absolute, on the driver's machine."""
    shared: str | None
    """Folder or URL of staged parts; None where all see the run directory."""
    stall_seconds: float
    planned: tuple[Job, ...]
    variables: dict[str, str]
    address: str
    """Of the cluster, for an engine that spreads over it itself."""
    pass_env: tuple[str, ...] = ()
    """Variables of a node that its engines get beside those that they are known to read."""


def probe(setup: Setup, token: str, node: str) -> Probed:
    """Return what a node is, having read the driver's token and left a mark for it."""
    # Ray hides devices from a task that asked for none.
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    environment = describe_environment()
    try:
        if setup.shared is None:
            root = Path(setup.run_dir) / STAGING
            said = (root / "token").read_text(encoding="utf-8")
            (root / f"seen-{node}").write_text(token, encoding="utf-8")
        else:
            said = _probe_shared(setup, token, node)
    except (OSError, TaisError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return {"environment": environment, "shared": reason or type(error).__name__}
    wrong = "" if said == token else "another folder of the same name lies there"
    return {"environment": environment, "shared": wrong}


def _probe_shared(setup: Setup, token: str, node: str) -> str:
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        depot = open_depot(Path(folder) / Path(setup.run_dir).name, setup.shared)
        assert isinstance(depot, Shared)
        copy = Path(folder) / "token"
        depot.get("token", copy)
        depot.put(copy, f"seen-{node}")
        return copy.read_text(encoding="utf-8")


class Host:
    """One worker process on a node.

    Parameters
    ----------
    setup
        What all workers of the run are told.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._local = Path(setup.run_dir)
        self._depot: Depot | None = None
        if setup.shared is not None:
            # A folder of the run's own name, so that both find the same place under the URL.
            self._local = Path(tempfile.mkdtemp(prefix="tais-")) / self._local.name
            (self._local / LOGS).mkdir(parents=True)
            self._depot = open_depot(self._local, setup.shared)
        self._worker: WorkerProcess | None = None
        self._python: str | None = None
        self._logs: dict[str, int] = {}

    def where(self) -> int:
        """Return the process id: the actor is up."""
        return os.getpid()

    def shard(self, job: ShardJob, shard: Shard) -> Iterator[list[Told]]:
        """Answer one shard of an arm, with the engine that is loaded where it is this arm's."""
        yield from self._guarded(job, lambda: self._shard(job, shard))

    def whole(self, job: TeacherForcingJob) -> Iterator[list[Told]]:
        """Run a job that is not divided, to its end."""
        yield from self._guarded(job, lambda: self._whole(job))

    def finish(self) -> Iterator[list[Told]]:
        """End the arm that is loaded, as an engine ends that has nothing more to do."""
        yield from self._guarded(None, self._finish)

    def stop(self) -> None:
        """Let the running job store what it has finished."""
        if self._worker is not None:
            self._worker.stop()

    def close(self) -> None:
        """End all processes and remove what is temporary here."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
        if self.setup.shared is not None:
            shutil.rmtree(self._local.parent, ignore_errors=True)

    def _shard(self, job: ShardJob, shard: Shard) -> Iterator[Told]:
        if self._worker is not None and self._worker.job is not None and self._worker.job.arm != job.arm:
            yield from self._finish()
        worker = self._process(job.arm.python)
        loaded = worker.job
        if loaded is None:
            self._fetch(job)
            worker.submit(self._here(job))
        worker.feed(self._here(shard))
        yield from self._until(worker, "shard")

    def _whole(self, job: TeacherForcingJob) -> Iterator[Told]:
        yield from self._finish()
        self._fetch(job)
        worker = self._process(job.arm.python)
        worker.submit(self._here(job))
        yield from self._until(worker, "exit")

    def _finish(self) -> Iterator[Told]:
        if self._worker is not None and self._worker.job is not None:
            self._worker.close_feed()
            yield from self._until(self._worker, "exit")

    def _process(self, python: str | None) -> WorkerProcess:
        """Return the process for arms of one interpreter, which must lie at the same place on every node."""
        if self._worker is None or self._worker.ended or self._python != python:
            if self._worker is not None:
                self._worker.kill()
            arms, named = [job.arm for job in self.setup.planned], self.setup.pass_env
            variables = worker_environment(arms, self._environment(), named, python)
            logs, stall = self._local / LOGS, self.setup.stall_seconds
            planned = [job for job in self.setup.planned if job.arm.python == python]
            self._worker, self._python = WorkerProcess(logs, stall, planned, variables, python), python
        return self._worker

    def _environment(self) -> dict[str, str]:
        """Return the node's environment under the driver's settings; Ray sets thread counts of its own."""
        kept = {k: v for k, v in os.environ.items() if not _OWN.fullmatch(k) or _SECRET.search(k)}
        return {**kept, **self.setup.variables, "RAY_ADDRESS": self.setup.address}

    def _until(self, worker: WorkerProcess, end: str) -> Iterator[Told]:
        while True:
            if not select.select([worker], [], [], _BATCH_SECONDS)[0]:
                worker.check_stall()
                yield {}
                continue
            ended = False
            for event in worker.read():
                yield {"event": self._passed_on(event).model_dump()}
                ended = ended or event.event in (end, "exit")
            if ended:
                return

    def _passed_on(self, event: ArmEvent) -> ArmEvent:
        """Return the event with a path that the driver knows, what lies there brought to the shared place."""
        if event.event not in ("part", "resolved"):
            return event
        path = Path(event.path)
        name = str(path.relative_to(self._local / STAGING))
        if isinstance(self._depot, Shared):
            self._depot.put(path, name)
            path.unlink()
        return event.model_copy(update={"path": name})

    def _guarded(self, job: StoringJob | None, steps: Callable[[], Iterator[Told]]) -> Iterator[list[Told]]:
        """Yield what the steps tell, not too often; a failure is told, never raised."""
        batch: list[Told] = []
        last = time.monotonic()
        try:
            for told in steps():
                batch += [told] if told else []
                now = time.monotonic()
                if batch and now - last >= _BATCH_SECONDS:
                    yield batch
                    batch, last = [], now
        except TaisError as error:
            said = self._said(error)
            batch.append({"death": said} if isinstance(error, WorkerDeath) else {"failure": said})
        except OSError as error:
            batch.append({"failure": self._said(EngineError(f"the worker cannot go on: {error}"))})
        yield [*batch, *self._log(job)]

    def _said(self, error: TaisError) -> Ended:
        place = error.place.key if error.place is not None else None
        remedy = error.remedy and error.remedy.replace(str(self._local), self.setup.run_dir)
        return {"what": error.what, "place": place, "remedy": remedy, "kind": type(error).__name__}

    def _log(self, job: StoringJob | None) -> Iterator[Told]:
        """Yield what is new in the log where the driver does not see it."""
        if self.setup.shared is None or job is None:
            return
        name = job.log.name
        path = self._local / LOGS / name
        if path.exists():
            data = path.read_bytes()[self._logs.get(name, 0) :]
            self._logs[name] = self._logs.get(name, 0) + len(data)
            if data:
                yield {"log": {"name": name, "text": data[-_LOG_BYTES:].decode(errors="replace")}}

    def _fetch(self, job: StoringJob) -> None:
        """Bring what a job reads, where the run directory is out of sight."""
        if isinstance(self._depot, Shared):
            for name in job.inputs:
                path = self._local / name
                # A part is never rewritten; anything else may be.
                if not (path.exists() and path.suffix == ".parquet" and path.name.startswith("part-")):
                    self._depot.get(f"inputs/{name}", path)

    def _here(self, record: R) -> R:
        """Return a job or a shard with the run directory's paths as they are on this node."""
        if self.setup.shared is None:
            return record
        before = Path(self.setup.run_dir)
        moved = {
            key: self._local / value.relative_to(before)
            for key, value in record
            if isinstance(value, Path) and value.is_relative_to(before)
        }
        return record.model_copy(update=moved)
