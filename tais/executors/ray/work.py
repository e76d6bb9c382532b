"""The driver's side of one arm on a cluster: its shards, what is stored of them, and what it tells."""

from __future__ import annotations

import math
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tais.errors import EngineError, Place
from tais.executors.needs import Needs, spans_nodes
from tais.executors.staging import STAGING, Collector, Depot, merge_engine, staged
from tais.manifest.model import Sampling
from tais.rundir.items import Items
from tais.rundir.samples import part_files
from tais.worker.protocol import ArmEvent, Job, Listener
from tais.worker.shards import arm_order

__all__ = ["SHARD_ITEMS", "ArmWork", "Unit", "divisible"]

SHARD_ITEMS = 2048
"""Answers per shard where nothing else is said: some minutes of a small model, so a loss costs little."""

_PATHS = ("items", "arm_dir", "log", "looks", "worklist", "arms_dir")


def divisible(job: Job, *, asked: bool) -> bool:
    """Return whether an arm may be answered in shards.

    Parameters
    ----------
    job
        Of the arm.
    asked
        Whether the user asked for shards. Unasked, only arms are divided whose answers do not depend on what
        else is in their batch: in float32, or where vLLM computes independently of the batch.
    """
    arm = job["arm"]
    if job.get("kind") == "audit" or "looks" in job or arm["engine"] == "openai":
        # A look needs what is before it; a server is one, however many ask it.
        return False
    invariant = arm["engine"] == "vllm" and os.environ.get("VLLM_BATCH_INVARIANT") == "1"
    return asked or invariant or arm["engine"] == "fake" or arm.get("dtype") == "float32"


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
        return spans_nodes(self.work.job["arm"])

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
    """

    def __init__(self, job: Job, run_dir: Path, depot: Depot, size: int | None, listener: Listener) -> None:
        self.job = {**job, **{key: str(Path(job[key]).resolve()) for key in _PATHS if key in job}}
        self.run_dir, self.depot, self.listener = run_dir, depot, listener
        self.name: str = job["arm"]["name"]
        self.folder = Path(self.job["arm_dir"])
        self.sharded = "looks" not in job and job.get("kind") != "audit"
        self.collector = Collector(self.folder, audit=job.get("kind") == "audit")
        self.keys = self._keys() if self.sharded else []
        self.size = size or max(1, len(self.keys))
        self.total: int = len(self.keys) if self.sharded else job.get("total", 0)
        self.before = len(self.collector.keys)
        self.open: set[Unit] = set()
        self._said: set[str] = set()
        self._tallies: dict[str, ArmEvent] = {}
        self._rows: Counter[str] = Counter()

    def _keys(self) -> list[tuple[str, str, int]]:
        sampling = Sampling.model_validate(self.job["sampling"])
        asked = [
            (battery, item, repeat)
            for battery, item in Items(Path(self.job["items"]))
            for repeat in range(sampling.n)
        ]
        order = arm_order(len(asked), self.job["arm"].get("order", "battery"), sampling, self.name)
        return [asked[index] for index in order]

    def units(self, needs: Needs) -> list[Unit]:
        """Return what is to be done."""
        if not self.sharded:
            self.open = {Unit(self, needs)}
            return list(self.open)
        starts = range(0, len(self.keys), self.size)
        found = [
            Unit(self, needs, index, first, min(first + self.size, len(self.keys)))
            for index, first in enumerate(starts)
        ]
        missing = [unit for unit in found if not self.is_stored(unit)]
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
        count = math.ceil(len(self.keys) / self.size)
        return f"shard {unit.shard + 1} of {count} (items {first[1]!r} to {last[1]!r})"

    def begin(self, unit: Unit, *, publish: bool) -> tuple[Job, dict[str, Any] | None]:
        """Return the job, and the shard of it, as a worker takes them; in a folder of this attempt's own."""
        unit.attempt = uuid.uuid4().hex
        folder = str(self.run_dir / STAGING / unit.attempt / self.folder.relative_to(self.run_dir))
        job = {**self.job, "inputs": self._inputs() if publish else []}
        if publish:
            self.depot.publish(self.run_dir, job["inputs"])
        if "looks" in self.job:
            return job, None
        job["stored"] = str(self.folder)
        if not self.sharded:
            return {**job, "arm_dir": folder}, None
        done = list(self._done(unit))
        shard = {"shard": unit.shard, "first": unit.first, "last": unit.last, "done": done, "folder": folder}
        return {**job, "kind": "shards"}, shard

    def _done(self, unit: Unit) -> Iterator[tuple[int, int]]:
        """Yield the ranges of a shard that are stored."""
        stored = [key in self.collector.keys for key in self.keys[unit.first : unit.last]]
        edges = [i for i, (a, b) in enumerate(pairwise([False, *stored, False])) if a != b]
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            yield unit.first + first, unit.first + last

    def _inputs(self) -> list[str]:
        """Return what the job reads, relative to the run directory."""
        paths = [Path(self.job["items"])]
        if self.job.get("kind") == "audit":
            arms = Path(self.job["arms_dir"])
            paths += [Path(self.job["worklist"]), *part_files(self.folder)]
            paths += [part for arm in sorted(arms.iterdir()) for part in part_files(arm)]
        return [str(path.relative_to(self.run_dir)) for path in paths]

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
        elif event.event in ("failed", "looked"):
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
            if name.endswith("engine.json"):
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

    def poisoned(self, unit: Unit, last: Mapping[str, Any]) -> EngineError:
        """Return the failure of a unit that has killed every worker that took it."""
        return EngineError(
            f"{unit} ended {unit.deaths} workers; the last one: {last['what']}",
            place=Place(key=f"arm {self.name!r}"),
            remedy=f"{last.get('remedy') or 'See the logs'}; what is stored stays: continue with --resume",
        )
