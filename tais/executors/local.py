"""Arms as local processes, one after the other, forked from one process that has imported the engine.

multiprocessing, concurrent.futures and joblib were looked at: none forks tasks from a process that has
imported what they need and never ran any, and none tells a dead worker's last words.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tais.engines.worker import Job
from tais.errors import EngineError, Place

__all__ = ["ArmEvent", "LocalExecutor", "worker_environment"]

_GRACE_SECONDS = 10.0
_SMALL_MODEL_BYTES = 256 << 20
# What runs on the threads of this machine.
_LOCAL = ("vllm", "transformers", "reference", "openai")


class ArmEvent(BaseModel):
    """What a worker tells of an arm."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Literal["preloaded", "preload_failed", "phase", "progress", "failed", "stopped", "looked", "exit"]
    arm: str = ""
    phase: str = ""
    kind: str = ""
    message: str = ""
    status: int = 0
    pid: int | None = None
    total: int = 0
    done: int = 0
    tokens: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    seconds: float = 0.0


Listener = Callable[[ArmEvent], None]


class LocalExecutor:
    """Runs jobs in worker processes; a context manager.

    Parameters
    ----------
    log_dir
        Where the logs of engines go.
    stall_seconds
        An arm that tells of no progress for so long is stopped.
    planned
        All jobs that may come, for what the processes must know when they start: models and engines.
        None takes the first jobs for all.
    """

    def __init__(self, log_dir: Path, *, stall_seconds: float, planned: Sequence[Job] | None = None) -> None:
        self.log_dir = log_dir
        self.stall_seconds = stall_seconds
        self.planned = planned
        self._preloaded: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._events = -1
        self._buffer = b""
        self._phase = "start"
        self._pid: int | None = None

    def __enter__(self) -> LocalExecutor:
        """Return the executor; the first process starts with the first job."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._kill()

    def run(self, jobs: Sequence[Job], listener: Listener) -> None:
        """Run jobs in their order; may be called again for jobs that need what these left.

        Raises
        ------
        EngineError
            When an arm refuses, dies, hangs or runs out of memory. What was stored stays.
        """
        if not jobs:
            return
        try:
            if self._process is None:
                self._start(jobs if self.planned is None else self.planned)
            self._preload(jobs, listener)
            for job in jobs:
                self._run_one(job, listener)
        except KeyboardInterrupt:
            self._stop_arm()
            raise

    def _start(self, jobs: Sequence[Job]) -> None:
        read_end, write_end = os.pipe()
        with (self.log_dir / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tais.engines.worker", str(write_end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(write_end,),
                env=worker_environment(jobs),
                # Out of the terminal's process group: Ctrl-C reaches the run, which then stops its arms.
                start_new_session=True,
            )
        os.close(write_end)
        self._events, self._buffer = read_end, b""
        self._preloaded.clear()

    def _send(self, **command: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death("the worker process", self.log_dir / "worker.log", None) from None

    def _preload(self, jobs: Sequence[Job], listener: Listener) -> None:
        log = self.log_dir / "worker.log"
        for engine in sorted({job["arm"]["engine"] for job in jobs} - self._preloaded):
            self._preloaded.add(engine)
            models = sorted(
                {m for job in self.planned or jobs if job["arm"]["engine"] == engine for m in _models(job)}
            )
            self._send(op="preload", engine=engine, models=models, log=str(log))
            for event in self._listen(f"engine {engine!r}", log):
                listener(event)
                if event.event == "preload_failed":
                    raise EngineError(event.message, place=Place(key=f"engine {engine!r}"), remedy=_see(log))
                break

    def _run_one(self, job: Job, listener: Listener) -> None:
        name, log = job["arm"]["name"], Path(job["log"])
        failure = None
        self._phase = "start"
        self._send(op="run", job=job)
        for event in self._listen(f"arm {name!r}", log):
            if event.event == "phase":
                self._phase = event.phase
                self._pid = event.pid
            if event.event == "failed":
                failure = event
            listener(event)
            if event.event == "exit":
                break
        self._pid = None
        if failure is not None:
            raise _failure(failure, log)
        if event.status != 0:
            raise self._death(f"arm {name!r}", log, event.status)

    def _listen(self, who: str, log: Path, phase: Callable[[], str] = lambda: "start") -> Iterator[ArmEvent]:
        """Yield events; raise when none comes for too long, or the process is gone."""
        deadline = time.monotonic() + self.stall_seconds
        while True:
            while b"\n" in self._buffer:
                line, self._buffer = self._buffer.split(b"\n", 1)
                deadline = time.monotonic() + self.stall_seconds
                yield ArmEvent.model_validate_json(line)
            if not select.select([self._events], [], [], 0.2)[0]:
                if time.monotonic() > deadline:
                    self._kill()
                    raise EngineError(
                        f"{who} made no progress for {self.stall_seconds:g} s while in phase "
                        f"{self._phase!r} and was stopped{_last_words(log)}",
                        remedy=f"{_see(log)}; a slow engine needs a longer --stall-timeout",
                    )
                continue
            data = os.read(self._events, 1 << 16)
            if not data:
                raise self._death(who, log, None)
            self._buffer += data

    def _death(self, who: str, log: Path, status: int | None) -> EngineError:
        how = "ended unexpectedly"
        if status is not None and status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            if status == -signal.SIGKILL:
                how += " (out of memory?)"
        elif status is not None:
            how = f"ended with status {status}"
        return EngineError(f"{who} {how} in phase {self._phase!r}{_last_words(log)}", remedy=_see(log))

    def _stop_arm(self) -> None:
        """Let the running arm store what it has finished, for a few seconds."""
        if self._pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and _alive(self._pid):
            time.sleep(0.05)

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # Its session holds its children, too; and theirs, as engines start processes of their own.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()
        os.close(self._events)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _models(job: Job) -> Iterator[str]:
    arm = job["arm"]
    for model in (arm.get("model"), (arm.get("speculative_config") or {}).get("model")):
        if isinstance(model, str):
            yield model


def worker_environment(jobs: Sequence[Job]) -> dict[str, str]:
    """Return the workers' environment: the user's own, over defaults that keep arms quiet and matched."""
    defaults = {
        # One process per arm is enough: with vLLM's own engine process on top, loading takes 30 s, not 4.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # No pool of compiler processes in the process that forks.
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    sizes = [_weight_bytes(Path(model)) for job in jobs for model in _models(job)]
    engines = {job["arm"]["engine"] for job in jobs}
    if sizes and max(sizes) < _SMALL_MODEL_BYTES and engines <= set(_LOCAL):
        # Threads that wait for each other cost a small model more than they bring it.
        defaults["OMP_NUM_THREADS"] = "1"
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    if openmp.exists() and "vllm" in engines:
        # vLLM's CPU backend asks for it; it comes with vllm-cpu.
        defaults["LD_PRELOAD"] = str(openmp)
    return {**defaults, **os.environ}


def _weight_bytes(model: Path) -> int:
    try:
        return sum(path.stat().st_size for path in model.glob("*.safetensors"))
    except OSError:
        return 0


def _see(log: Path) -> str:
    return f"See {log}"


def _last_words(log: Path) -> str:
    """Return the last line of a log that says something, without control characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [
        " ".join("".join(c if c.isprintable() else " " for c in line).split()) for line in text.split("\n")
    ]
    said = [line for line in lines if line]
    return f"; its last words: {said[-1][:300]}" if said else ""


def _failure(event: ArmEvent, log: Path) -> EngineError:
    where = Place(key=f"arm {event.arm!r}")
    remedies = {
        "refused": "Change the arm in the manifest",
        "memory": "Lower max_num_seqs, max_model_len or the cache size in the arm's engine_args",
        "server": "See that the server is up and answers, then continue with --resume",
    }
    said = {"refused": "", "store": "", "server": "", "memory": "ran out of memory", "crashed": "failed"}[
        event.kind
    ]
    what = f"{said} in phase {event.phase!r}: {event.message}" if said else event.message
    # A failure of the store names its own remedy.
    remedy = None if event.kind == "store" else remedies.get(event.kind, _see(log))
    return EngineError(" ".join(what.split()), place=where, remedy=remedy)
