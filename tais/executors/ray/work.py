"""The driver's side of one arm on a cluster: its shards, what is stored of them, and what it tells."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tais.errors import EngineError, Place
from tais.executors.base import Blocks
from tais.executors.handout import request_keys
from tais.executors.needs import Needs, spans_nodes
from tais.executors.ray.host import Ended
from tais.executors.staging import STAGING, Collector, Depot, merge_engine, staged
from tais.rundir.layout import ENGINE, OWN_ANSWERS
from tais.rundir.samples import part_files
from tais.worker.order import arm_order
from tais.worker.protocol import (
    AnswerJob,
    ArmEvent,
    Listener,
    Shard,
    ShardJob,
    StoringJob,
    TeacherForcingJob,
)

__all__ = ["SHARD_ITEMS", "ArmWork", "Unit", "divisible"]

SHARD_ITEMS = 2048
"""Answers per shard where nothing else is said: some minutes of a small model, so a loss costs little."""


def divisible(job: StoringJob, *, asked: bool) -> bool:
    """Return whether an arm may be answered in shards.

    Parameters
    ----------
    job
        Of the arm.
    asked
        Whether the user asked for shards. Unasked, only arms are divided whose answers do not depend on what
        else is in their batch: in float32, or where vLLM computes independently of the batch.
    """
    arm = job.arm
    if not isinstance(job, AnswerJob) or arm.engine == "openai":
        # A server is one, however many ask it.
        return False
    invariant = arm.engine == "vllm" and os.environ.get("VLLM_BATCH_INVARIANT") == "1"
    return asked or invariant or arm.engine == "fake" or arm.dtype == "float32"


class _Range(NamedTuple):
    """A shard before anybody works at it."""

    number: int
    first: int
    last: int


@dataclass(eq=False, slots=True)
class Unit:
    """One piece of work: a shard of an arm, or a job that is not divided."""

    work: ArmWork
    needs: Needs
    shard: int = 0
    first: int = 0
    last: int = 0
    deaths: int = 0
    attempt: str = ""

    @property
    def alone(self) -> bool:
        """Whether nothing else may run meanwhile: vLLM takes the cluster's GPUs itself."""
        return spans_nodes(self.work.job.arm)

    def __str__(self) -> str:
        """Return which part of the arm it is."""
        return self.work.say(self)


class ArmWork:
    """One job of a run.

    Parameters
    ----------
    job
        The job; paths may be relative.
    run_dir
        The run directory, absolute.
    depot
        Where workers leave parts.
    size
        Answers per shard; None for one shard.
    listener
        Who is told.
    blocks
        Where the arm may be stopped after each of them; None where it is asked everything.
    """

    def __init__(
        self,
        job: AnswerJob | TeacherForcingJob,
        run_dir: Path,
        depot: Depot,
        size: int | None,
        listener: Listener,
        blocks: Blocks | None = None,
    ) -> None:
        self.job = job.model_copy(
            update={key: value.resolve() for key, value in job if isinstance(value, Path)}
        )
        self.run_dir, self.depot, self.listener = run_dir, depot, listener
        self.name = job.arm.name
        self.folder = self.job.arm_dir
        self.sharded = isinstance(job, AnswerJob)
        self.collector = Collector(self.folder, audit=not self.sharded)
        keys = request_keys(job.items, job.sampling) if self.sharded else []
        if blocks is None:
            # All of it in one block, after which nothing is asked.
            blocks = Blocks((tuple(arm_order(len(keys), job.arm, job.sampling)),), lambda _: False)
        self._stops, self._past = blocks.stops, 0
        self._shards = self._cut(blocks.places, size)
        self.places = [place for block in blocks.places for place in block]
        self.keys = [keys[place] for place in self.places]
        self.total = job.total if isinstance(job, TeacherForcingJob) else len(keys)
        self.before = len(self.collector.keys)
        self.open: set[Unit] = set()
        self._said: set[str] = set()
        self._tallies: dict[str, ArmEvent] = {}
        self._rows: Counter[str] = Counter()

    def _cut(self, blocks: Sequence[Sequence[int]], size: int | None) -> list[list[_Range]]:
        """Return the shards of each block, numbered through."""
        numbers, first, found = count(), 0, []
        for block in blocks:
            last = first + len(block)
            starts = range(first, last, size or max(1, last - first))
            found.append([_Range(next(numbers), at, min(at + starts.step, last)) for at in starts])
            first = last
        return found

    @property
    def goes_on(self) -> bool:
        """Whether there may be more units once those of now are done."""
        return self.sharded and self._past < len(self._shards)

    def units(self, needs: Needs) -> list[Unit]:
        """Return what is to be done next: where it comes in blocks, what the next one lacks that goes on."""
        if not self.sharded:
            self.open = {Unit(self, needs)}
            return list(self.open)
        missing: list[Unit] = []
        while self.goes_on and not missing:
            if self._past and self._stops(self._past):
                self._past = len(self._shards)
                break
            found = [Unit(self, needs, *shard) for shard in self._shards[self._past]]
            missing = [unit for unit in found if not self.is_stored(unit)]
            self._past += 1
        self.open = set(missing)
        return missing

    def is_stored(self, unit: Unit) -> bool:
        """Return whether all answers of a shard are stored; of an undivided job that is not known."""
        return self.sharded and all(key in self.collector.keys for key in self.keys[unit.first : unit.last])

    def say(self, unit: Unit) -> str:
        """Return which part of the arm a unit is."""
        if not self.sharded:
            return "all of it"
        first, last = self.keys[unit.first], self.keys[unit.last - 1]
        shards = sum(map(len, self._shards))
        return f"shard {unit.shard + 1} of {shards} (items {first.item_id!r} to {last.item_id!r})"

    def begin(self, unit: Unit, *, publish: bool) -> tuple[ShardJob, Shard] | tuple[TeacherForcingJob, None]:
        """Return the job, and the shard of it, as a worker takes them; in a folder of this attempt's own."""
        unit.attempt = uuid.uuid4().hex
        folder = self.run_dir / STAGING / unit.attempt / self.folder.relative_to(self.run_dir)
        inputs = self._inputs() if publish else ()
        if publish:
            self.depot.publish(self.run_dir, list(inputs))
        own = {"stored": self.folder, "inputs": inputs}
        if isinstance(self.job, TeacherForcingJob):
            return self.job.model_copy(update={**own, "arm_dir": folder}), None
        missing = tuple(
            self.places[index]
            for index in range(unit.first, unit.last)
            if self.keys[index] not in self.collector.keys
        )
        shard = Shard(number=unit.shard, places=missing, folder=folder)
        return ShardJob.model_validate(dict(self.job) | own | {"kind": "shards"}), shard

    def _inputs(self) -> tuple[str, ...]:
        """Return what the job reads, relative to the run directory."""
        paths = [self.job.items]
        if isinstance(self.job, TeacherForcingJob):
            paths += [self.job.worklist, *part_files(self.folder)]
            paths += [part for arm in sorted(self.job.arms_dir.iterdir()) for part in part_files(arm)]
            own = self.job.own_answers
            folders = () if own is None else sorted(own.glob(f"{OWN_ANSWERS}*"))
            paths += [part for folder in folders for part in part_files(folder)]
        return tuple(str(path.relative_to(self.run_dir)) for path in paths)

    def hear(self, event: ArmEvent, host: str) -> None:
        """Take what a worker tells, and tell the listener what is new for the arm as a whole."""
        if event.event == "part":
            self._rows[host] += self.collector.take(self.depot.bring(event.path))
        elif event.event == "resolved":
            self.merge(event.path)
        elif event.event == "phase":
            self.tell_phase(event.phase)
        elif event.event == "progress":
            if host in self._tallies and event.done < self._tallies[host].done:
                self._bank(host)  # a new engine on the same worker counts from nothing
            self._tallies[host] = event
            self._progress()
        elif event.event == "failed":
            self.listener(event)

    def merge(self, name: str) -> None:
        """Take what an engine resolved to."""
        path = self.depot.bring(name)
        merge_engine(self.folder, path)
        path.unlink(missing_ok=True)

    def tell_phase(self, phase: str) -> None:
        """Tell of a phase that the arm enters for the first time, however many workers follow."""
        if phase not in self._said and phase != "close":
            self._said.add(phase)
            counts = {"total": self.total, "done": self.before} if phase == "load" else {}
            self.listener(ArmEvent(event="phase", arm=self.name, phase=phase, **counts))

    def _progress(self) -> None:
        counts = {
            name: sum(getattr(tally, name) for tally in self._tallies.values())
            for name in ("done", "tokens", "draft_tokens", "accepted_tokens")
        }
        self.listener(ArmEvent(event="progress", arm=self.name, **counts))

    def salvage(self, unit: Unit, host: str) -> None:
        """Take what an attempt left that did not end, and forget what is lost with it."""
        for name, _ in staged(self.depot.names(unit.attempt)):
            if name.endswith(ENGINE):
                self.merge(name)
            elif name.endswith(".parquet"):
                self._rows[host] += self.collector.take(self.depot.bring(name))
        self.depot.remove(unit.attempt)
        if host in self._tallies:
            self._tallies[host] = self._tallies[host].model_copy(update={"done": self._rows[host]})
            self._bank(host)

    def _bank(self, host: str) -> None:
        """Keep what an engine that is gone has done, apart from what the next one on this worker does."""
        self._tallies[f"{host}, engine {len(self._tallies)}"] = self._tallies.pop(host)
        self._rows[host] = 0

    def ended(self) -> None:
        """Tell that the arm is done."""
        # An arm of which everything was stored has told of nothing yet.
        self.tell_phase("load")
        self.listener(ArmEvent(event="exit", arm=self.name, status=0))

    def poisoned(self, unit: Unit, last: Ended) -> EngineError:
        """Return the failure of a unit that has killed every worker that took it."""
        return EngineError(
            f"{unit} ended {unit.deaths} workers; the last one: {last['what']}",
            place=Place(key=f"arm {self.name!r}"),
            remedy=f"{last['remedy'] or 'See the logs'}; what is stored stays: continue with --resume",
        )
