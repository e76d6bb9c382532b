"""Arms on a Ray cluster: each worker is an actor that holds what its arm needs and answers its shards.

The driver places actors on nodes of one kind, hands out shards, collects parts and counts deaths. Only it
writes into the run directory. An engine that spreads over several nodes is vLLM's own matter: it makes its
own placement group, and runs while nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.engines.worker import Job
from tais.errors import EngineError, Place, StoreError, TaisError
from tais.executors import Placement
from tais.executors.local import LocalExecutor
from tais.executors.needs import Needs, gpus_of, needs_of, spans_nodes
from tais.executors.process import ArmEvent, Listener, worker_environment
from tais.executors.ray_cluster import Node, alive_nodes, connected, like_nodes, look_at
from tais.executors.ray_host import Host, Setup, Told, engine_variables
from tais.executors.ray_work import SHARD_ITEMS, ArmWork, Unit, divisible
from tais.executors.staging import open_depot, sweep

__all__ = ["RayExecutor"]

DEATHS = 5
"""Workers that one shard may end before it is given up."""

_GRACE_SECONDS = 10.0
_WAIT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class Worker:
    """An actor, as the driver knows it."""

    actor: Any
    node: Node
    needs: Needs
    up: Any
    """Reference that is ready when the actor is; None once it was."""
    born: float
    name: str
    stream: Any = None
    unit: Unit | None = None
    loaded: ArmWork | None = None
    said_to_wait: bool = False


class RayExecutor:
    """Runs jobs on a Ray cluster; a context manager.

    Parameters
    ----------
    run_dir
        The run directory.
    placement
        Address of the cluster, shared path and shard size.
    stall_seconds
        An arm that tells of no progress for so long is stopped.
    planned
        All jobs that may come.
    """

    def __init__(
        self, run_dir: Path, placement: Placement, *, stall_seconds: float, planned: Sequence[Job]
    ) -> None:
        self.run_dir, self.placement = run_dir.resolve(), placement
        self.stall_seconds, self.planned = stall_seconds, planned
        self.workers: list[Worker] = []
        self._numbers = iter(range(10**9))

    def __enter__(self) -> RayExecutor:
        """Join or start the cluster and look at its nodes.

        Raises
        ------
        EngineError
            When there is no cluster, its software differs, or no node has room for an arm.
        StoreError
            When a node does not reach the shared path.
        """
        with ExitStack() as stack:
            self.depot = open_depot(self.run_dir, self.placement.shared)
            self.ray = stack.enter_context(connected(self.placement.address))
            stack.callback(self._close)
            remote = [job for job in self.planned if job["arm"]["engine"] != "import"]
            self.setup = Setup(
                run_dir=str(self.run_dir),
                shared=self.placement.shared,
                stall_seconds=self.stall_seconds,
                planned=tuple(remote),
                variables=engine_variables(os.environ),
                address=self.ray.get_runtime_context().gcs_address,
            )
            sweep(self.run_dir, self.depot)
            self._place(look_at(self.ray, self.setup), remote)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End all actors, and the cluster where it was started here."""
        self._stack.close()

    def _close(self) -> None:
        closing = [
            worker.actor.close.options(concurrency_group="control").remote() for worker in self.workers
        ]
        with contextlib.suppress(Exception):  # an actor that is gone has nothing left to close
            self.ray.wait(closing, num_returns=max(1, len(closing)), timeout=_CLOSE_SECONDS)
        for worker in self.workers:
            with contextlib.suppress(Exception):
                self.ray.kill(worker.actor, no_restart=True)
        self.workers.clear()
        with contextlib.suppress(OSError):
            sweep(self.run_dir, self.depot)

    def _place(self, nodes: dict[str, Node], jobs: Sequence[Job]) -> None:
        self.gpus = any(node.gpus for node in nodes.values())
        small = worker_environment(jobs, self.setup.variables).get("OMP_NUM_THREADS", "")
        fewest = min((node.cpus for node in nodes.values() if node.cpus), default=1)
        self.threads = min(int(small), fewest) if small.isdigit() and int(small) else fewest
        wanted = [self.needs(job) for job in jobs]
        for job, needs in zip(jobs, wanted, strict=True):
            self._check_room(job, needs, nodes)
        self.nodes = {node.id: node for node in like_nodes(nodes, wanted)}

    def needs(self, job: Job) -> Needs:
        """Return what the actor of a job takes."""
        if spans_nodes(job["arm"]):
            return Needs(0, 1)
        return needs_of(job, gpus=self.gpus, threads=self.threads)

    def _check_room(self, job: Job, needs: Needs, nodes: dict[str, Node]) -> None:
        place = Place(key=f"arm {job['arm']['name']!r}")
        if spans_nodes(job["arm"]):
            there = sum(node.gpus for node in nodes.values())
            if gpus_of(job["arm"]) > there:
                what = f"needs {gpus_of(job['arm'])} GPUs, and the cluster has {there}"
                raise EngineError(what, place=place, remedy="Lower its parallel sizes, or add nodes")
        elif not any(node.holds(needs) for node in nodes.values()):
            most = max(nodes.values(), key=lambda node: (node.gpus, node.cpus, node.memory))
            raise EngineError(
                f"needs {needs} on one node, and the largest of {len(nodes)} has "
                f"{Needs(most.gpus, most.cpus, most.memory)}",
                place=place,
                remedy="Lower its resources or tensor_parallel_size, or add a node that is large enough",
            )

    def run(self, jobs: Sequence[Job], listener: Listener) -> None:
        """Run jobs; those that look at others while they run come last, see :class:`LocalExecutor`.

        Raises
        ------
        EngineError
            When an arm fails, or one of its shards has ended several workers. What was stored stays.
        """
        brought = [job for job in jobs if job["arm"]["engine"] == "import"]
        if brought:
            # Answers that exist already are a file of this machine.
            with LocalExecutor(self.run_dir / "logs", stall_seconds=self.stall_seconds) as executor:
                executor.run(brought, listener)
        rest = [job for job in jobs if job["arm"]["engine"] != "import"]
        self._check_looks(rest)
        for looks in (False, True):
            group = [job for job in rest if ("looks" in job) is looks]
            if group:
                _Campaign(self, [self._work(job, listener) for job in group]).run()

    def _check_looks(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if "looks" in job and self.placement.shared is not None:
                raise EngineError(
                    "may stop early, which its worker decides from the run directory, and --shared says that "
                    "workers do not see it",
                    place=Place(key=f"arm {job['arm']['name']!r}"),
                    remedy="Put --out on a folder that all nodes share, or leave out rules.sequential",
                )

    def _work(self, job: Job, listener: Listener) -> ArmWork:
        asked = self.placement.shard_items
        size = (asked or SHARD_ITEMS) if divisible(job, asked=asked is not None) else None
        return ArmWork(job, self.run_dir, self.depot, size, listener)

    def room(self, needs: Needs) -> Node | None:
        """Return the node with most room for one more actor; None where there is none."""

        def free(node: Node) -> Needs:
            taken = [worker.needs for worker in self.workers if worker.node.id == node.id]
            return Needs(
                node.gpus - sum(one.gpus for one in taken),
                node.cpus - sum(one.cpus for one in taken),
                node.memory - sum(one.memory for one in taken),
            )

        fitting = [
            (free(node), node.id)
            for node in self.nodes.values()
            if all(have >= want for have, want in zip(_sizes(free(node)), _sizes(needs), strict=True))
        ]
        return self.nodes[max(fitting)[1]] if fitting else None

    def start(self, node: Node, needs: Needs) -> Worker:
        """Start an actor on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        made = self.ray.remote(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory or None,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            concurrency_groups={"control": 1},
        )(Host)
        actor = made.remote(self.setup)
        up = actor.where.options(concurrency_group="control").remote()
        worker = Worker(actor, node, needs, up, time.monotonic(), f"worker {next(self._numbers)}")
        self.workers.append(worker)
        return worker

    def dismiss(self, worker: Worker) -> None:
        """End an actor."""
        self.workers.remove(worker)
        with contextlib.suppress(Exception):  # it may be gone already, and its node with it
            closing = worker.actor.close.options(concurrency_group="control").remote()
            self.ray.wait([closing], timeout=_CLOSE_SECONDS)
            self.ray.kill(worker.actor, no_restart=True)

    def forget_dead_nodes(self) -> None:
        """Take nodes that are gone off the list."""
        alive = alive_nodes(self.ray)
        self.nodes = {name: node for name, node in self.nodes.items() if name in alive}


def _sizes(needs: Needs) -> tuple[int, int, int]:
    return needs.gpus, needs.cpus, needs.memory


class _Campaign:
    """Some jobs at once, from their first shard to their last."""

    def __init__(self, executor: RayExecutor, works: list[ArmWork]) -> None:
        self.executor, self.ray, self.works = executor, executor.ray, works
        self.pending = [unit for work in works for unit in work.units(executor.needs(work.job))]
        self.publish = executor.placement.shared is not None

    def run(self) -> None:
        """Run all units."""
        for work in self.works:
            if not work.open:
                work.ended()
        try:
            while self.pending or self._busy():
                self._assign()
                self._listen()
        except (KeyboardInterrupt, TaisError):
            self._stop()
            raise

    def _busy(self) -> list[Worker]:
        return [worker for worker in self.executor.workers if worker.stream is not None]

    def _assign(self) -> None:
        if any(worker.unit is not None and worker.unit.alone for worker in self._busy()):
            return
        for worker in [one for one in self.executor.workers if one.stream is None]:
            unit = self._next(worker)
            if unit is not None:
                self._begin(worker, unit)
        while (unit := self._next(None)) is not None:
            node = self.executor.room(unit.needs)
            if node is None and not self._make_room():
                self._check_nodes(unit)
                return
            if node is not None:
                self._begin(self.executor.start(node, unit.needs), unit)

    def _next(self, worker: Worker | None) -> Unit | None:
        """Return what a worker, or a new one, does next: its own arm, then one that nobody works at."""
        if not self.pending:
            return None
        if self.pending[0].alone:
            others = [one for one in self.executor.workers if one is not worker]
            for idle in [one for one in others if one.stream is None]:
                self.executor.dismiss(idle)
            return None if self._busy() or worker is not None else self.pending[0]
        units = [unit for unit in self.pending if not unit.alone]
        if worker is not None:
            units = [unit for unit in units if unit.needs == worker.needs]
            own = [unit for unit in units if unit.work is worker.loaded]
            if own:
                return own[0]
        taken = {id(one.loaded) for one in self.executor.workers if one is not worker}
        fresh = [unit for unit in units if id(unit.work) not in taken]
        return next(iter(fresh or units), None)

    def _make_room(self) -> bool:
        """End one idle worker; return whether there was any."""
        for worker in self.executor.workers:
            if worker.stream is None:
                self.executor.dismiss(worker)
                return True
        return False

    def _check_nodes(self, unit: Unit) -> None:
        if not any(node.holds(unit.needs) for node in self.executor.nodes.values()):
            raise EngineError(
                f"no node is left that has {unit.needs}",
                place=Place(key=f"arm {unit.work.name!r}"),
                remedy="Bring nodes back, then continue with --resume",
            )

    def _begin(self, worker: Worker, unit: Unit) -> None:
        self.pending.remove(unit)
        work = unit.work
        job, shard = work.begin(unit, publish=self.publish)
        if shard is None:
            method, arguments = worker.actor.whole, [job]
        else:
            method, arguments = worker.actor.shard, [job, shard]
        worker.unit, worker.loaded = unit, work
        worker.stream = method.options(num_returns="streaming").remote(*arguments)

    def _listen(self) -> None:
        streams = {worker.stream: worker for worker in self._busy()}
        if not streams:
            return
        ready, _ = self.ray.wait(list(streams), num_returns=1, timeout=0.2)
        for stream in ready:
            self._hear(streams[stream])
        for worker in streams.values():
            self._check_up(worker)

    def _hear(self, worker: Worker) -> None:
        """Take one batch of what a worker tells."""
        try:
            batch: list[Told] = self.ray.get(next(worker.stream))
        except StopIteration:
            self._done(worker)
            return
        except self.ray.exceptions.RayError as error:
            self._lost(worker, error)
            return
        worker.up = None
        for told in batch:
            self._take(worker, told)

    def _take(self, worker: Worker, told: Told) -> None:
        unit = worker.unit
        if "event" in told:
            event = ArmEvent.model_validate(told["event"])
            if unit is not None and event.event == "preloaded":
                unit.work.listener(event)
            elif unit is not None and event.arm == unit.work.name:
                unit.work.hear(event, worker.name)
        elif "log" in told:
            path = self.executor.run_dir / "logs" / Path(told["log"]["name"]).name
            with path.open("a", encoding="utf-8", errors="replace") as log:
                log.write(told["log"]["text"])
        elif "death" in told and unit is not None:
            worker.unit = None
            self._died(worker, unit, told["death"])
        else:
            raise _failure(told.get("failure") or told["death"])

    def _done(self, worker: Worker) -> None:
        """Take note that a worker has ended what it was given."""
        unit, worker.stream, worker.unit = worker.unit, None, None
        if unit is None:
            return
        self._finish(worker)
        work = unit.work
        if work.sharded and not work.is_stored(unit):
            work.salvage(unit, worker.name)
            if not work.is_stored(unit):
                self._died(worker, unit, {"what": "its parts did not arrive"})
                return
        work.depot.remove(unit.attempt)
        work.open.discard(unit)
        if not work.open:
            work.ended()

    def _finish(self, worker: Worker) -> None:
        """Let an engine end that has nothing more to answer."""
        if worker.loaded is not None and all(unit.work is not worker.loaded for unit in self.pending):
            worker.stream = worker.actor.finish.options(num_returns="streaming").remote()
            worker.loaded = None

    def _lost(self, worker: Worker, error: Exception) -> None:
        """Give up an actor that is gone, perhaps with its node."""
        unit = worker.unit
        self.executor.dismiss(worker)
        worker.stream = None
        self.executor.forget_dead_nodes()
        gone = worker.node.id not in self.executor.nodes
        what = f"node {worker.node.address} was lost" if gone else " ".join(str(error).split())[:200]
        if unit is not None:
            self._died(worker, unit, {"what": what})

    def _died(self, worker: Worker, unit: Unit, last: dict[str, Any]) -> None:
        """Count a death; what the attempt left is taken, the rest is done again."""
        unit.deaths += 1
        unit.work.salvage(unit, worker.name)
        if unit.work.is_stored(unit):
            unit.work.open.discard(unit)
            if not unit.work.open:
                unit.work.ended()
            return
        if unit.deaths >= DEATHS:
            raise unit.work.poisoned(unit, last)
        self.pending.insert(0, unit)

    def _check_up(self, worker: Worker) -> None:
        """Say so when an actor waits for room that others hold, and give up in the end."""
        if worker.up is None:
            return
        if self.ray.wait([worker.up], timeout=0)[0]:
            worker.up = None
            return
        waited = time.monotonic() - worker.born
        if worker.unit is None:
            return
        work = worker.unit.work
        if waited > self.executor.stall_seconds:
            raise EngineError(
                f"found no room in the cluster for {worker.needs} within {waited:.0f} s",
                place=Place(key=f"arm {work.name!r}"),
                remedy="Wait for what else runs there, or give a longer --stall-timeout",
            )
        if waited > _WAIT_SECONDS and not worker.said_to_wait:
            worker.said_to_wait = True
            work.tell_phase("wait")

    def _stop(self) -> None:
        """Let running workers store what they have finished, for a few seconds, and take it."""
        for worker in self._busy():
            with contextlib.suppress(Exception):  # it may be gone
                worker.actor.stop.options(concurrency_group="control").remote()
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._busy() and time.monotonic() < deadline:
            for worker in self._heard_last():
                worker.stream = None

    def _heard_last(self) -> Iterator[Worker]:
        """Yield workers whose last word is taken, whatever it is."""
        streams = {worker.stream: worker for worker in self._busy()}
        for stream in self.ray.wait(list(streams), num_returns=1, timeout=0.2)[0]:
            worker = streams[stream]
            try:
                for told in self.ray.get(next(stream)):
                    if "event" in told:
                        self._take(worker, told)
            except (StopIteration, TaisError, self.ray.exceptions.RayError):
                yield worker


def _failure(said: dict[str, Any]) -> TaisError:
    kind = StoreError if said["kind"] == "StoreError" else EngineError
    place = Place(key=said["place"]) if said["place"] else None
    return kind(said["what"], place=place, remedy=said["remedy"])
