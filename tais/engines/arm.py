"""One arm from its engine's start to its last part, inside the worker process."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from tais.engines import create_engine
from tais.engines.base import Counters, Sample
from tais.engines.environment import describe_environment
from tais.engines.work import Work
from tais.items import read_requests
from tais.samples import PartWriter, exclusive, stored_keys

if TYPE_CHECKING:
    from tais.engines.worker import Events, Job

__all__ = ["ArmRun"]


class ArmRun(Work):
    """The state of one arm's run."""

    def __init__(self, job: Job, events: Events) -> None:
        super().__init__(job, events)
        self.engine = create_engine(self.arm.engine)
        self.tally |= {"draft_tokens": 0, "accepted_tokens": 0}

    def execute(self) -> None:
        """Start the engine, write down what it resolved to, answer what is missing, store it."""
        arm_dir = Path(self.job["arm_dir"])
        self.guard = exclusive(arm_dir)
        done = stored_keys(arm_dir)
        requests = read_requests(Path(self.job["items"]), self.sampling, self.arm.system_prompt)
        missing = [request for request in requests if request.key not in done]
        self.enter("load", total=len(requests), done=len(done))
        if not missing:
            return
        # Before the engine starts, as engines leave marks of their own in the environment.
        environment = describe_environment()
        resolved = self.engine.start(self.arm)
        self.enter("check")
        self.engine.check(missing, self.sampling)
        self.writer = PartWriter(arm_dir)
        self.record(arm_dir / "engine.json", {"resolved": resolved, "environment": environment})
        if self.arm.order == "shuffled":
            # The same shuffle on every attempt and machine; another one per arm.
            random.Random(f"{self.sampling.seed}/{self.name}").shuffle(missing)
        self.enter("generate")
        for sample in self.engine.generate(missing, self.sampling):
            if sample is not None:
                self._take(sample)
            self.keep_pace()
        self.keep_finished()
        self.enter("close")
        self.engine.close()

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
