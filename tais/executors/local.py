"""Arms as local processes: one after the other, or one per set of GPUs where the machine has several."""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from pathlib import Path

from tais.errors import EngineError, Place, TaisError
from tais.executors.base import NO_BLOCKS, Blocks
from tais.executors.devices import Devices
from tais.executors.handout import Handout
from tais.executors.needs import gpus_of
from tais.executors.process import WorkerDeath, WorkerProcess, stop_all, worker_environment
from tais.worker.protocol import AnswerJob, ArmEvent, Job, Listener

__all__ = ["ArmEvent", "LocalExecutor", "worker_environment"]

_Slot = tuple[tuple[str, ...], str | None]
"""Devices and interpreter of a worker process."""


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
    devices
        Devices to share out, each job getting as many as it needs; without any, jobs run one by one.
    pass_env
        Variables that engines get beside those that they are known to read.
    """

    def __init__(
        self,
        log_dir: Path,
        *,
        stall_seconds: float,
        planned: Sequence[Job] | None = None,
        devices: Sequence[str] = (),
        pass_env: Sequence[str] = (),
    ) -> None:
        self.log_dir = log_dir
        self.stall_seconds = stall_seconds
        self.planned = planned
        self.pass_env = pass_env
        self._devices = Devices(devices)
        # A process is bound to devices and interpreter when it starts; it is kept for the next job there.
        self._workers: dict[_Slot, WorkerProcess] = {}
        self._handouts: dict[WorkerProcess, Handout] = {}

    def __enter__(self) -> LocalExecutor:
        """Return the executor; the first process starts with the first job."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()

    def run(self, jobs: Sequence[Job], listener: Listener, blocks: Mapping[str, Blocks] = NO_BLOCKS) -> None:
        """Run jobs, in their order as far as devices are free; see :class:`tais.executors.base.Executor`.

        Raises
        ------
        EngineError
            When an arm refuses, dies, hangs or runs out of memory. What was stored stays.
        """
        pending = list(jobs)
        self._check_room(pending)
        try:
            while pending or self._running():
                self._start_what_fits(pending, jobs, listener, blocks)
                self._listen(listener)
        except WorkerDeath as death:
            self._stop()
            # On one machine nobody takes over: a death is a failure like any other.
            raise EngineError(death.what, place=death.place, remedy=death.remedy) from None
        except (KeyboardInterrupt, TaisError):
            self._stop()
            raise
        finally:
            self._forget_ended()

    def _stop(self) -> None:
        """Let running arms store what they have finished, and end them."""
        running = self._running()
        stop_all(running)
        for worker in running:
            worker.kill()

    def _check_room(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            wanted = gpus_of(job.arm)
            if self._devices and wanted > len(self._devices):
                raise EngineError(
                    f"needs {wanted} GPUs, and this run has {len(self._devices)}",
                    place=Place(key=f"arm {job.arm.name!r}"),
                    remedy="Lower its tensor_parallel_size or resources.gpus, or give more with --devices",
                )

    def _running(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers.values() if worker.job is not None]

    def _start_what_fits(
        self, pending: list[Job], jobs: Sequence[Job], listener: Listener, blocks: Mapping[str, Blocks]
    ) -> None:
        for job in list(pending):
            # What a look compares with is whole before it starts; arms that look may run side by side.
            others = [*(worker.job for worker in self._running()), *pending]
            if job.arm.name in blocks and any(o is not None and o.arm.name not in blocks for o in others):
                continue
            busy = {devices for (devices, _), worker in self._workers.items() if worker.job is not None}
            known = [devices for devices, python in self._workers if python == job.arm.python]
            free = self._devices.choose(gpus_of(job.arm), busy, known)
            if free is None:
                continue
            pending.remove(job)
            if isinstance(job, AnswerJob) and job.arm.name in blocks:
                self._hand_out(Handout(job, blocks[job.arm.name]), (free, job.arm.python), jobs, listener)
            else:
                self._worker((free, job.arm.python), jobs).submit(job)

    def _hand_out(self, handout: Handout, slot: _Slot, jobs: Sequence[Job], listener: Listener) -> None:
        first = handout.next()
        if first is None:
            handout.tell_done(listener)
            return
        worker = self._worker(slot, jobs)
        worker.submit(handout.job)
        worker.feed(first)
        self._handouts[worker] = handout

    def _go_on(self, worker: WorkerProcess) -> None:
        """Hand out the next block; the decision whether there is one takes place here."""
        shard = self._handouts[worker].next()
        if shard is None:
            worker.close_feed()
        else:
            worker.feed(shard)

    def _worker(self, slot: _Slot, jobs: Sequence[Job]) -> WorkerProcess:
        if slot not in self._workers:
            devices, python = slot
            everything = jobs if self.planned is None else self.planned
            planned = [job for job in everything if job.arm.python == python]
            # Threads are the same for all arms of a run, whatever interpreter they have.
            own = worker_environment([job.arm for job in everything], named=self.pass_env, python=python)
            variables = own | self._devices.variables(devices)
            self._workers[slot] = WorkerProcess(self.log_dir, self.stall_seconds, planned, variables, python)
        return self._workers[slot]

    def _listen(self, listener: Listener) -> None:
        running = self._running()
        ready = select.select(running, [], [], 0.2)[0]
        # First: while a look is taken nobody is heard, which is no standstill of theirs.
        for worker in running:
            if worker not in ready:
                worker.check_stall()
        for worker in ready:
            for event in worker.read():
                if event.event == "shard":
                    self._go_on(worker)
                else:
                    listener(event)

    def _forget_ended(self) -> None:
        for slot, worker in list(self._workers.items()):
            if worker.ended:
                worker.kill()
                self._handouts.pop(worker, None)
                del self._workers[slot]
