"""One arm from its engine's start to its last part, inside the worker process."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tais.common.machine import describe_environment
from tais.engines import create_engine
from tais.engines.base import CountsUnderway, ImitatesFaults, PlantedFault
from tais.manifest.model import Arm
from tais.records import Counters, Request, Sample
from tais.rundir.items import read_requests
from tais.rundir.layout import ENGINE, ITEMS
from tais.rundir.samples import PartWriter, count_tokens, exclusive, stored_keys
from tais.worker.mixed import is_companion, mixed
from tais.worker.order import arm_order
from tais.worker.protocol import AnswerJob, Events, ShardJob
from tais.worker.work import StoringWork

__all__ = ["HOOKS", "ArmRun"]

HOOKS = {"fault": "tais.lab.drill.planting:Planted"}
"""What else must be in the process of an arm that has such a key, as ``module:class``; see :class:`Hook`."""

_LEAST_BLOCK = 16
"""Requests that are asked at once where some tokens are enough: an engine's batch is to be full."""


class Hook(Protocol):
    """What is put into the process of an arm beside its engine."""

    fault: PlantedFault

    def plant(self) -> None:
        """Put it in its place, before the engine starts."""
        ...

    def describe(self) -> dict[str, object]:
        """Return what engine.json says of it."""
        ...

    def note(self) -> None:
        """Write down how often it has acted."""
        ...

    def check_acted(self) -> None:
        """Refuse an arm on which it never acted."""
        ...


def _hook(arm: Arm, arm_dir: Path) -> Hook | None:
    if arm.fault is None:
        return None
    module, _, name = HOOKS["fault"].partition(":")
    hook: Hook = getattr(importlib.import_module(module), name)(arm, arm_dir)
    return hook


class ArmRun(StoringWork[Sample]):
    """The state of one arm's run."""

    def __init__(self, job: AnswerJob | ShardJob, events: Events) -> None:
        super().__init__(job, events)
        self.folder = job.arm_dir
        self.engine = create_engine(self.arm.engine)
        self.hook: Hook | None = None
        self.tally |= {"draft_tokens": 0, "accepted_tokens": 0}

    def execute(self) -> None:
        """Start the engine, write down what it resolved to, answer what is missing, store it."""
        asked = self.requests()
        missing = self.take_folder(asked)
        if missing:
            # What answers stand for, in a file of them, can depend on all that is asked.
            self.begin(asked, self.folder)
            order = arm_order(len(missing), self.arm, self.sampling)
            self._take_enough([missing[place] for place in order])
        self.probe()
        self.end()

    def probe(self) -> None:
        """Ask the same engine what the exchange control needs, and keep it apart."""
        if not isinstance(self.job, AnswerJob) or self.job.probes is None:
            return
        folder, sampling = self.job.probes, self.sampling.model_copy(update={"n": 1})
        asked = read_requests(folder / ITEMS, sampling, self.arm.system_prompt)
        done = stored_keys(folder)
        missing = [request for request in asked if request.key not in done]
        if not missing:
            return
        if self.writer is None:
            self.begin(missing, self.folder)
        else:
            self.engine.check(missing, sampling)
        self.writer = PartWriter(folder)
        tally = dict(self.tally)
        self.take_all(missing)
        # Progress is told in items of the batteries.
        self.tally = tally

    def requests(self) -> list[Request]:
        """Return all that the arm is asked, in the order of the items file."""
        return read_requests(self.job.items, self.sampling, self.arm.system_prompt)

    def take_folder(self, requests: Sequence[Request]) -> list[Request]:
        """Take the arm's folder for this process alone, and return what is not answered in it."""
        self.guard = exclusive(self.folder)
        done = stored_keys(self.folder)
        self.enter("load", total=len(requests), done=len(done), limit=self.sampling.max_tokens)
        self.hook = _hook(self.arm, self.folder)
        return [request for request in requests if request.key not in done]

    def begin(self, asked: Sequence[Request], folder: Path) -> None:
        """Start the engine, let it look at all that it is going to be asked, and write down what it is."""
        # Before the engine starts, as engines leave marks of their own in the environment.
        environment = describe_environment()
        if self.hook is not None:
            self.hook.plant()
            if isinstance(self.engine, ImitatesFaults):
                self.engine.imitate(self.hook.fault)
        resolved = self.engine.start(self.arm)
        self.enter("check")
        self.engine.check(asked, self.sampling)
        self.writer = PartWriter(folder)
        drill = {} if self.hook is None else {"drill": self.hook.describe()}
        self.record(folder / ENGINE, {"resolved": resolved, "environment": environment, **drill})
        self.enter("generate")

    def resume(self, asked: Sequence[Request], folder: Path) -> None:
        """Go on with the engine that runs, storing in another folder."""
        self.enter("check")
        self.engine.check(asked, self.sampling)
        self.writer = PartWriter(folder)
        self.enter("generate")

    def end(self) -> None:
        """Let the engine go."""
        if self.hook is not None:
            self.hook.check_acted()
        if self.writer is not None:
            self.enter("close")
            self.engine.close()

    def keep_finished(self) -> None:
        """Store what is finished, and how often a planted fault has acted."""
        super().keep_finished()
        if self.hook is not None:
            self.hook.note()

    def take_all(self, asked: Sequence[Request]) -> None:
        """Answer requests, storing parts as they fill."""
        for sample in self.engine.generate(mixed(asked, self.arm.mixed_batch), self.sampling):
            if sample is not None and not is_companion(sample.key):
                self._take(sample)
            self.keep_pace()
        self.keep_finished()

    def _take_enough(self, asked: list[Request]) -> None:
        """Answer requests, where some tokens are enough no more than that takes, some at a time."""
        enough = self.job.enough_tokens if isinstance(self.job, AnswerJob) else None
        if enough is None:
            self.take_all(asked)
            return
        block = max(_LEAST_BLOCK, -(-enough // self.sampling.max_tokens))
        for first in range(0, len(asked), block):
            if count_tokens(self.folder) < enough:
                self.take_all(asked[first : first + block])

    def tell_progress(self) -> None:
        """Tell the run how far the arm is, tokens of unfinished answers included."""
        if isinstance(self.engine, CountsUnderway):
            self.tally["underway"] = self.engine.tokens_underway()
        super().tell_progress()

    def counters(self) -> Counters | None:
        """Return the engine's counters since the last part."""
        return self.engine.counters()

    def _take(self, sample: Sample) -> None:
        assert self.writer is not None
        self.writer.add(sample)
        self.tally["done"] += 1
        self.tally["tokens"] += len(sample.token_ids or ())
        self.tally["draft_tokens"] += sum(sample.step_drafted or ())
        self.tally["accepted_tokens"] += sum(sample.step_accepted or ())
