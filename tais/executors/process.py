"""One worker process: it imports the engines once, and forks a child for every arm that it is given.

multiprocessing, concurrent.futures and joblib were looked at: none forks tasks from a process that has
imported what they need and never ran any, and none tells a dead worker's last words.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from tais.common.document import dotted
from tais.common.text import words
from tais.engines import ENGINES
from tais.errors import EngineError, ManifestError, Place, TaisError
from tais.executors.variables import named_by, passed_on
from tais.manifest.model import Arm
from tais.worker.protocol import ArmEvent, Job, Shard

__all__ = ["WorkerDeath", "WorkerProcess", "stop_all", "worker_environment"]

_GRACE_SECONDS = 10.0
_SMALL_MODEL_BYTES = 256 << 20
_PACKAGE = Path(__file__).resolve().parent.parent
# Of the interpreter that TAIS runs on, and of no other.
_OWN = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_PRELOAD")


class WorkerProcess:
    """Runs one job at a time in a child of its own; never blocks.

    Parameters
    ----------
    log_dir
        Where ``worker.log`` goes.
    stall_seconds
        A job that tells of no progress for so long is stopped.
    planned
        All jobs that may come, for what the process must know when it starts: models and engines.
    variables
        Environment of the process.
    python
        Its interpreter; None for that of TAIS. Another one finds TAIS's own package, and nothing else of what
        is installed beside it.
    """

    def __init__(
        self,
        log_dir: Path,
        stall_seconds: float,
        planned: Sequence[Job],
        variables: Mapping[str, str],
        python: str | None = None,
    ) -> None:
        self.log, self.stall_seconds, self.planned = log_dir / "worker.log", stall_seconds, planned
        self.job: Job | None = None
        self._preloaded: set[str] = set()
        self._importing = False
        self._waiting: Shard | None = None
        self._failure: ArmEvent | None = None
        self._buffer = b""
        self._phase = "start"
        self._pid: int | None = None
        self._package = None if python is None else tempfile.TemporaryDirectory(prefix="tais-package-")
        if self._package is not None:
            (Path(self._package.name) / _PACKAGE.name).symlink_to(_PACKAGE)
            variables = {**variables, "PYTHONPATH": self._package.name}
        read_end, write_end = os.pipe()
        with self.log.open("ab") as log:
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                # -P: the working directory is not on the path, whoever put a ctypes.py there.
                [python or sys.executable, "-s", "-P", "-m", "tais.worker.main", str(write_end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(write_end,),
                env=dict(variables),
                # Out of the terminal's process group: Ctrl-C reaches the run, which then stops its arms.
                start_new_session=True,
            )
        os.close(write_end)
        self._events = read_end
        self._deadline = time.monotonic() + stall_seconds

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to :meth:`poll`."""
        return self._events

    def submit(self, job: Job) -> None:
        """Begin a job; the process must have none."""
        assert self.job is None
        self.job, self._failure, self._pid, self._phase = job, None, None, "start"
        self._deadline = time.monotonic() + self.stall_seconds
        engine = job.arm.engine
        if engine in self._preloaded:
            self.send(op="run", job=job.model_dump(mode="json"))
            return
        self._preloaded.add(engine)
        self._importing = True
        wanted = sorted({m for j in self.planned if j.arm.engine == engine for m in _models(j.arm)})
        self.send(op="preload", engine=engine, models=wanted, log=str(self.log))

    def feed(self, shard: Shard) -> None:
        """Hand the running job one more shard."""
        self._deadline = time.monotonic() + self.stall_seconds
        if self._importing:
            self._waiting = shard
        else:
            self.send(op="shard", shard=shard.model_dump(mode="json"))

    def close_feed(self) -> None:
        """Tell the running job that there is no further shard."""
        self._deadline = time.monotonic() + self.stall_seconds
        self.send(op="close")

    def send(self, **command: object) -> None:
        """Send one command.

        Raises
        ------
        EngineError
            When the process is gone.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._death("the worker process", self.log, None) from None

    def read(self) -> Iterator[ArmEvent]:
        """Yield what the job has told; call it when the descriptor is readable. The exit ends the job.

        Raises
        ------
        EngineError
            When the job refuses, fails or dies.
        """
        data = os.read(self._events, 1 << 16)
        if not data:
            raise self._death(*self._who(), None)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._deadline = time.monotonic() + self.stall_seconds
            yield from self._take(ArmEvent.model_validate_json(line))

    def check_stall(self) -> None:
        """Raise EngineError, and end the process, when its job has told nothing for too long."""
        if self.job is None or time.monotonic() <= self._deadline:
            return
        who, log = self._who()
        self.kill()
        raise EngineError(
            f"{who} made no progress for {self.stall_seconds:g} s while in phase "
            f"{self._phase!r} and was stopped{_last_words(log)}",
            remedy=f"{_see(log)}; a slow engine needs a longer --stall-timeout",
        )

    def _who(self) -> tuple[str, Path]:
        assert self.job is not None
        if self._importing:
            return f"engine {self.job.arm.engine!r}", self.log
        return f"arm {self.job.arm.name!r}", self.job.log

    def _take(self, event: ArmEvent) -> Iterator[ArmEvent]:
        assert self.job is not None
        yield event
        if event.event == "preload_failed":
            where = Place(key=f"engine {self.job.arm.engine!r}")
            self.job, self._importing = None, False
            raise EngineError(event.message, place=where, remedy=_see(self.log))
        if event.event == "preloaded":
            self._importing = False
            self.send(op="run", job=self.job.model_dump(mode="json"))
            if self._waiting is not None:
                self.feed(self._waiting)
                self._waiting = None
        elif event.event == "phase":
            self._phase, self._pid = event.phase, event.pid
        elif event.event == "failed":
            self._failure = event
        elif event.event == "exit":
            self._end(event.status)

    def _end(self, status: int) -> None:
        who, log = self._who()
        self.job, self._pid = None, None
        if self._failure is not None:
            raise _failure(self._failure, log)
        if status != 0:
            raise self._death(who, log, status)

    def _death(self, who: str, log: Path, status: int | None) -> EngineError:
        how = "ended unexpectedly"
        if status is not None and status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
            if status == -signal.SIGKILL:
                how += " (out of memory?)"
        elif status is not None:
            how = f"ended with status {status}"
        what = f"{who} {how} in phase {self._phase!r}{_last_words(log)}"
        return WorkerDeath(what, remedy=_see(log))

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """Let the running job store what it has finished; :meth:`wait` sees its end."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait until the job that was stopped is gone, until a time of the monotonic clock at most."""
        while self._pid is not None and time.monotonic() < deadline and _alive(self._pid):
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process and all that it started."""
        process, self._process, self.job = self._process, None, None
        if process is None:
            return
        if self._package is not None:
            self._package.cleanup()
        with contextlib.suppress(ProcessLookupError):
            # Its session holds its children, too; and theirs, as engines start processes of their own.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            # What could not be sent to a process that is gone is no news.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        os.close(self._events)


class WorkerDeath(EngineError):
    """A worker died without a word: killed, out of memory, or brought down by its engine."""


def stop_all(workers: Sequence[WorkerProcess]) -> None:
    """Let running jobs store what they have finished, for a few seconds."""
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + _GRACE_SECONDS
    for worker in workers:
        worker.wait(deadline)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _models(arm: Arm) -> Iterator[str]:
    """Yield the names or folders of the models that an arm loads."""
    for model in (arm.model, (arm.speculative_config or {}).get("model")):
        if isinstance(model, str):
            yield model


def worker_environment(
    arms: Sequence[Arm],
    own: Mapping[str, str] | None = None,
    named: Collection[str] = (),
    python: str | None = None,
) -> dict[str, str]:
    """Return the workers' environment: what of the user's own is passed on, over defaults.

    Parameters
    ----------
    arms
        All that may run there.
    own
        The user's environment; None for that of this process.
    named
        Variables that the user names beside those of :mod:`tais.executors.variables`.
    python
        Interpreter of the workers; None for that of TAIS.

    Notes
    -----
    The defaults keep arms quiet and matched.
    """
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
    sizes = [_weight_bytes(Path(model)) for arm in arms for model in _models(arm)]
    meant_for = [ENGINES[engine].environment for engine in {arm.engine for arm in arms}]
    if sizes and max(sizes) < _SMALL_MODEL_BYTES and all("OMP_NUM_THREADS" in names for names in meant_for):
        # Threads that wait for each other cost a small model more than they bring it.
        defaults["OMP_NUM_THREADS"] = "1"
    # Where the interpreter is called, not what it is a link to, decides which environment it is.
    prefix = Path(sys.prefix) if python is None else Path(python).parent.parent
    openmp = prefix / "lib" / "libiomp5.so"
    if openmp.exists() and any("LD_PRELOAD" in names for names in meant_for):
        # vLLM's CPU backend asks for it; it comes with vllm-cpu.
        defaults["LD_PRELOAD"] = str(openmp)
    own = os.environ if own is None else own
    kept = passed_on(own, {*named, *named_by(arms, own)})
    if python is not None:
        kept = {name: value for name, value in kept.items() if name not in _OWN}
        kept["PATH"] = os.pathsep.join(filter(None, (str(prefix / "bin"), kept.get("PATH"))))
    return {**defaults, **kept}


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
    said = [line for line in map(words, text.split("\n")) if line]
    return f"; its last words: {said[-1][:300]}" if said else ""


def _failure(event: ArmEvent, log: Path) -> TaisError:
    if event.kind == "configuration":
        at = ("arms", event.arm, *(event.key or ()))
        return ManifestError(
            " ".join(event.message.split()),
            place=Place(key=dotted(at)),
            remedy=event.remedy or "Change the arm in the manifest",
        )
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
