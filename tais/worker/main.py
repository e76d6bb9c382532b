"""The process in which an arm runs.

``python -m tais.worker.main EVENTS_FD`` reads one JSON command per line from its standard input:

``{"op": "preload", "engine": ..., "models": [...]}``
    import what arms will need, once;
``{"op": "run", "job": {...}}``
    fork a child for one arm, which inherits those imports; where an import has touched a GPU, which no fork
    survives, start an interpreter for it instead;
``{"op": "shard", ...}``, ``{"op": "close"}``
    hand the running child one more part of its arm (:mod:`tais.worker.shards`), or tell it that there is
    none left;
``{"op": "exit"}``
    end, as at end of file.

It writes one JSON event per line to the descriptor EVENTS_FD, and nothing else there: what an engine
prints goes to the arm's log. Two engines in one process break vLLM, and a crash must stay in its arm.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn, TypedDict

from tais.engines import ENGINES, load
from tais.engines.base import ConfigurationRefusal, EngineRefusal, ServerFailure
from tais.errors import TaisError
from tais.worker.devices import touched_device
from tais.worker.protocol import (
    ConfigurationJob,
    Events,
    Job,
    ShardJob,
    TeacherForcingJob,
    TimingJob,
    read_job,
)

if TYPE_CHECKING:
    from tais.worker.work import Work

__all__ = ["main"]


_PR_SET_PDEATHSIG = 1
# An engine that is taken apart when its last reference goes costs seconds; the end of the process does not.
_KEPT: list[object] = []


class Stopped(BaseException):
    """The run asked this arm to end; what is finished is stored first."""


class Command(TypedDict, total=False):
    """One line of the standard input."""

    op: Literal["preload", "run", "shard", "close", "exit"]
    engine: str
    models: list[str]
    log: str
    job: dict[str, object]
    shard: dict[str, object]


class Child(NamedTuple):
    """A job that runs."""

    name: str
    feed: int | None
    """Where what it is handed while it runs is written."""


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux), so that no arm outlives its run."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve commands until the end of the standard input; with a second descriptor, run one job."""
    if len(sys.argv) > 2:
        _spawned()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then stops its arms
    die_with_parent()
    events = Events(int(sys.argv[1]))
    children: dict[int, Child] = {}
    buffer = b""
    open_input = True
    while open_input or children:
        # The time-out is how soon a dead child is noticed.
        if select.select([0] if open_input else [], [], [], 0.05)[0]:
            data = os.read(0, 1 << 16)
            open_input = bool(data)
            buffer += data
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                _obey(json.loads(line), events, children)
        _reap(events, children)
    # Without the interpreter's farewell, in which an engine's libraries complain of each other.
    os._exit(0)


def _obey(command: Command, events: Events, children: dict[int, Child]) -> None:
    if command["op"] == "preload":
        _preload(command, events)
    elif command["op"] == "run":
        job = read_job(command["job"])
        pid, child = _fork(job, events) if touched_device() is None else _spawn(job, events)
        children[pid] = child
    elif command["op"] in ("shard", "close"):
        _feed(command, children)
    elif command["op"] == "exit":
        os._exit(0)


def _feed(command: Command, children: dict[int, Child]) -> None:
    for pid, child in children.items():
        if child.feed is None:
            continue
        if command["op"] == "close":
            os.close(child.feed)
            children[pid] = child._replace(feed=None)
        else:
            data = json.dumps(command["shard"]).encode() + b"\n"
            # A child that is gone is reaped, and its end told.
            with contextlib.suppress(BrokenPipeError):
                while data:
                    data = data[os.write(child.feed, data) :]


def _preload(command: Command, events: Events) -> None:
    begun = time.monotonic()
    _redirect(Path(command["log"]))
    # Importing makes objects that stay: looking for garbage among them took 1.5 of 12.9 seconds.
    gc.disable()
    try:
        preload = ENGINES[command["engine"]].preload
        if preload is not None:
            load(preload)(command["models"])
    except EngineRefusal as error:
        events.send("preload_failed", message=str(error))
        return
    except Exception as error:  # a broken installation: said here once instead of once per arm
        traceback.print_exc()
        events.send("preload_failed", message=f"{type(error).__name__}: {error}")
        return
    finally:
        gc.enable()
    # What is imported stays: a child's collections pass over it, and its pages stay shared with the parent.
    gc.collect()
    gc.freeze()
    touched = touched_device()
    if touched is not None:
        print(f"tais: {touched}, so every arm gets an interpreter of its own instead of a fork", flush=True)
    seconds, threads = time.monotonic() - begun, threading.active_count()
    events.send("preloaded", seconds=seconds, threads=threads, touched=touched or "")


def _reap(events: Events, children: dict[int, Child]) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            child = children.pop(pid)
            if child.feed is not None:
                os.close(child.feed)
            events.send("exit", arm=child.name, status=os.waitstatus_to_exitcode(status))


def _fork(job: Job, events: Events) -> tuple[int, Child]:
    ends = os.pipe() if isinstance(job, ShardJob) else None
    pid = os.fork()
    if pid:
        if ends is not None:
            os.close(ends[0])
        return pid, Child(job.arm.name, None if ends is None else ends[1])
    status = 1
    try:
        die_with_parent()
        os.close(0)
        if ends is not None:
            os.close(ends[1])
        _redirect(job.log)
        status = run_arm(job, events, None if ends is None else ends[0])
    except BaseException:  # the last line of defence of a forked child: it must never return to main()
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _spawn(job: Job, events: Events) -> tuple[int, Child]:
    """Start an interpreter for a job, which imports everything anew."""
    ends = os.pipe() if isinstance(job, ShardJob) else None
    inherited = [events.descriptor, *([] if ends is None else [ends[0]])]
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "tais.worker.main", *map(str, (*inherited, -1)[:2])],
        stdin=subprocess.PIPE,
        pass_fds=inherited,
    )
    assert process.stdin is not None
    # One that dies before it has read all is reaped, and its end told.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(job.model_dump(mode="json")).encode())
        process.stdin.close()
    if ends is not None:
        os.close(ends[0])
    # Reaped by its id; the object would complain of that.
    _KEPT.append(process)
    return process.pid, Child(job.arm.name, None if ends is None else ends[1])


def _spawned() -> NoReturn:
    """Run the one job that comes on the standard input, in an interpreter of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    events, feed = Events(int(sys.argv[1])), int(sys.argv[2])
    status = 1
    try:
        job = read_job(json.load(sys.stdin))
        os.close(0)
        _redirect(job.log)
        status = run_arm(job, events, None if feed < 0 else feed)
    except BaseException:  # as of a forked child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _redirect(log: Path) -> None:
    """Send everything that an engine prints, from Python or C, to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _work(job: Job, events: Events, feed: int | None) -> Work:
    # Imported in the child: pyarrow, which these need, has threads, and this process forks.
    if isinstance(job, TeacherForcingJob):
        from tais.worker.teacher_forcing import TeacherForcingRun

        return TeacherForcingRun(job, events)
    if isinstance(job, TimingJob):
        from tais.worker.timing import TimingRun

        return TimingRun(job, events)
    if isinstance(job, ConfigurationJob):
        from tais.worker.configuring import ConfigurationRun

        return ConfigurationRun(job, events)
    if isinstance(job, ShardJob):
        from tais.worker.shards import ShardRun

        assert feed is not None
        return ShardRun(job, events, feed)
    from tais.worker.answering import ArmRun

    return ArmRun(job, events)


def run_arm(job: Job, events: Events, feed: int | None = None) -> int:
    """Run one arm, or another job, to its end and return the exit status of its process.

    Every failure becomes one ``failed`` event with the phase in which it happened.
    """

    def stop(signum: int, frame: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    run = _work(job, events, feed)
    _KEPT.append(run)
    try:
        run.execute()
    except Stopped:
        run.keep_finished()
        events.send("stopped", arm=run.name)
        return 0
    except ConfigurationRefusal as error:
        return run.failed("configuration", str(error), key=error.path, remedy=error.remedy)
    except EngineRefusal as error:
        return run.failed("refused", str(error))
    except ServerFailure as error:
        return run.failed("server", str(error))
    except TaisError as error:
        return run.failed("store", str(error))
    except MemoryError as error:
        return run.failed("memory", str(error) or "out of memory")
    except Exception as error:  # whatever a foreign engine raises ends this arm, with its own words
        traceback.print_exc()
        kind = "memory" if "out of memory" in str(error).lower() else "crashed"
        return run.failed(kind, f"{type(error).__name__}: {error}")
    return 0


if __name__ == "__main__":
    main()
