"""Some jobs on a cluster, from their first shard to their last: who does what, and what a loss costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from tais.errors import EngineError, Place, StoreError, TaisError
from tais.executors.needs import Needs
from tais.executors.ray.cluster import Node
from tais.executors.ray.host import Ended, Told
from tais.executors.ray.work import ArmWork, Unit
from tais.rundir.layout import LOGS
from tais.worker.protocol import ArmEvent, Job

if TYPE_CHECKING:
    from ray import ObjectRef, ObjectRefGenerator
    from ray.actor import ActorHandle

__all__ = ["DEATHS", "Campaign", "Crew", "Worker"]

DEATHS = 5
"""Workers that one shard may end before it is given up."""

_GRACE_SECONDS = 10.0
_WAIT_SECONDS = 10.0


@dataclass(eq=False, slots=True)
class Worker:
    """An actor, as the driver knows it."""

    actor: ActorHandle
    node: Node
    needs: Needs
    up: ObjectRef | None
    """Reference that is ready when the actor is; None once it was."""
    born: float
    name: str
    stream: ObjectRefGenerator | None = None
    unit: Unit | None = None
    loaded: ArmWork | None = None
    said_to_wait: bool = False


class Crew(Protocol):
    """Who starts and ends workers, and knows the nodes."""

    ray: ModuleType
    workers: list[Worker]
    nodes: dict[str, Node]
    run_dir: Path
    stall_seconds: float

    def needs(self, job: Job) -> Needs:
        """Return what the actor of a job takes."""
        ...

    def room(self, needs: Needs) -> Node | None:
        """Return the node with most room for one more actor; None where there is none."""
        ...

    def start(self, node: Node, needs: Needs) -> Worker:
        """Start an actor on a node."""
        ...

    def dismiss(self, worker: Worker) -> None:
        """End an actor."""
        ...

    def forget_dead_nodes(self) -> None:
        """Take nodes that are gone off the list."""
        ...


class Campaign:
    """Some jobs at once, from their first shard to their last.

    Parameters
    ----------
    crew
        Who has the workers.
    works
        The jobs.
    publish
        Whether workers see no run directory, so that what they read is put where they reach it.
    """

    def __init__(self, crew: Crew, works: list[ArmWork], *, publish: bool) -> None:
        self.crew, self.ray, self.works, self.publish = crew, crew.ray, works, publish
        self.pending = [unit for work in works for unit in work.units(crew.needs(work.job))]

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
        return [worker for worker in self.crew.workers if worker.stream is not None]

    def _assign(self) -> None:
        if self._exclusive():
            return
        for worker in [one for one in self.crew.workers if one.stream is None]:
            unit = self._next(worker)
            if unit is not None:
                self._begin(worker, unit)
        while (unit := self._next(None)) is not None:
            node = self.crew.room(unit.needs)
            if node is None and not self._make_room():
                self._check_nodes(unit)
                return
            if node is not None:
                self._begin(self.crew.start(node, unit.needs), unit)
            if self._exclusive():
                return

    def _exclusive(self) -> bool:
        """Return whether something runs beside which nothing else may."""
        return any(worker.unit is not None and worker.unit.alone for worker in self._busy())

    def _next(self, worker: Worker | None) -> Unit | None:
        """Return what a worker, or a new one, does next: its own arm, then one that nobody works at."""
        if not self.pending:
            return None
        if self.pending[0].alone:
            others = [one for one in self.crew.workers if one is not worker]
            for idle in [one for one in others if one.stream is None]:
                self.crew.dismiss(idle)
            return None if self._busy() or worker is not None else self.pending[0]
        units = [unit for unit in self.pending if not unit.alone]
        if worker is not None:
            units = [unit for unit in units if unit.needs == worker.needs]
            own = [unit for unit in units if unit.work is worker.loaded]
            if own:
                return own[0]
        taken = {id(one.loaded) for one in self.crew.workers if one is not worker}
        fresh = [unit for unit in units if id(unit.work) not in taken]
        return next(iter(fresh or units), None)

    def _make_room(self) -> bool:
        """End one idle worker; return whether there was any."""
        for worker in self.crew.workers:
            if worker.stream is None:
                self.crew.dismiss(worker)
                return True
        return False

    def _check_nodes(self, unit: Unit) -> None:
        if not any(node.holds(unit.needs) for node in self.crew.nodes.values()):
            raise EngineError(
                f"no node is left that has {unit.needs}",
                place=Place(key=f"arm {unit.work.name!r}"),
                remedy="Bring nodes back, then continue with --resume",
            )

    def _begin(self, worker: Worker, unit: Unit) -> None:
        self.pending.remove(unit)
        work = unit.work
        job, shard = work.begin(unit, publish=self.publish)
        method = worker.actor.whole if shard is None else worker.actor.shard
        worker.unit, worker.loaded = unit, work
        # A whole job has no shard.
        worker.stream = method.options(num_returns="streaming").remote(*filter(None, (job, shard)))

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
        assert worker.stream is not None
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
            path = self.crew.run_dir / LOGS / Path(told["log"]["name"]).name
            with path.open("a", encoding="utf-8", errors="replace") as log:
                log.write(told["log"]["text"])
        elif "death" in told and unit is not None:
            worker.unit = None
            self._died(worker, unit, told["death"])
        else:
            raise _failure(told["failure"] if "failure" in told else told["death"])

    def _done(self, worker: Worker) -> None:
        """Take note that a worker has ended what it was given."""
        unit, worker.stream, worker.unit = worker.unit, None, None
        if unit is None:
            return
        work = unit.work
        if work.sharded and not work.is_stored(unit):
            work.salvage(unit, worker.name)
            if not work.is_stored(unit):
                self._died(worker, unit, _death("its parts did not arrive"))
                return
        work.depot.remove(unit.attempt)
        self._close(unit)

    def _close(self, unit: Unit) -> None:
        """Take note that a unit is stored: its arm goes on, or engines end that have no more to answer."""
        work = unit.work
        work.open.discard(unit)
        if not work.open and work.goes_on:
            self.pending += work.units(unit.needs)
        if not work.open:
            work.ended()
        if work.open and work.goes_on:
            # What comes next is for the engines that are there.
            return
        for worker in self.crew.workers:
            idle = worker.stream is None and worker.loaded is work
            if idle and all(pending.work is not work for pending in self.pending):
                worker.stream = worker.actor.finish.options(num_returns="streaming").remote()
                worker.loaded = None

    def _lost(self, worker: Worker, error: Exception) -> None:
        """Give up an actor that is gone, perhaps with its node."""
        unit = worker.unit
        self.crew.dismiss(worker)
        worker.stream = None
        self.crew.forget_dead_nodes()
        gone = worker.node.id not in self.crew.nodes
        what = f"node {worker.node.address} was lost" if gone else " ".join(str(error).split())[:200]
        if unit is not None:
            self._died(worker, unit, _death(what))

    def _died(self, worker: Worker, unit: Unit, last: Ended) -> None:
        """Count a death; what the attempt left is taken, the rest is done again."""
        unit.deaths += 1
        unit.work.salvage(unit, worker.name)
        if unit.work.is_stored(unit):
            self._close(unit)
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
        if waited > self.crew.stall_seconds:
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
                    # Why it ended is known: it was told to.
                    if "event" in told or "log" in told:
                        self._take(worker, told)
            except (StopIteration, TaisError, self.ray.exceptions.RayError):
                yield worker


def _death(what: str) -> Ended:
    return {"what": what, "place": None, "remedy": None, "kind": "WorkerDeath"}


def _failure(said: Ended) -> TaisError:
    kind = StoreError if said["kind"] == "StoreError" else EngineError
    place = Place(key=said["place"]) if said["place"] else None
    return kind(said["what"], place=place, remedy=said["remedy"])
