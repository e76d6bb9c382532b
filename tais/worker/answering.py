"""One arm from its engine's start to its last part, inside the worker process."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.machine import describe_environment
from tais.engines import create_engine
from tais.records import Counters, Request, Sample
from tais.rundir.items import read_requests
from tais.rundir.samples import PartWriter, exclusive, stored_keys
from tais.worker.work import Work

if TYPE_CHECKING:
    from tais.lab.drill.planting import Planted
    from tais.worker.protocol import Events, Job

__all__ = ["ArmRun"]


class ArmRun(Work):
    """The state of one arm's run."""

    def __init__(self, job: Job, events: Events) -> None:
        super().__init__(job, events)
        self.engine = create_engine(self.arm.engine)
        self.planted: Planted | None = None
        self.tally |= {"draft_tokens": 0, "accepted_tokens": 0}

    def execute(self) -> None:
        """Start the engine, write down what it resolved to, answer what is missing, store it."""
        arm_dir = Path(self.job["arm_dir"])
        self.guard = exclusive(arm_dir)
        done = stored_keys(arm_dir)
        requests = read_requests(Path(self.job["items"]), self.sampling, self.arm.system_prompt)
        blocks = [
            [request for request in block if request.key not in done] for block in self._blocks(requests)
        ]
        self.enter("load", total=len(requests), done=len(done))
        for look, missing in enumerate(blocks, 1):
            if missing and self.writer is None:
                self._start(arm_dir, [request for block in blocks[look - 1 :] for request in block])
            self._answer(missing)
            if look < len(blocks) and self._stops(look):
                break
        if self.arm.fault is not None:
            from tais.lab.drill.planting import check_acted

            check_acted(self.arm, arm_dir)
        if self.writer is not None:
            self.enter("close")
            self.engine.close()

    def _blocks(self, requests: list[Request]) -> list[list[Request]]:
        """Return the requests in blocks after which the arm may be stopped: one block, if it may not."""
        if "looks" not in self.job:
            return [requests]
        from tais.rundir.looks import blocks

        return blocks(Path(self.job["looks"]), requests, self.sampling.n)

    def _start(self, arm_dir: Path, missing: list[Request]) -> None:
        # Before the engine starts, as engines leave marks of their own in the environment.
        environment = describe_environment()
        drill = self._plant(arm_dir)
        resolved = self.engine.start(self.arm)
        self.enter("check")
        self.engine.check(missing, self.sampling)
        self.writer = PartWriter(arm_dir)
        self.record(arm_dir / "engine.json", {"resolved": resolved, "environment": environment, **drill})
        self.enter("generate")

    def _plant(self, arm_dir: Path) -> dict[str, Any]:
        """Plant the fault of a drill, and return what engine.json says of it; nothing for any other arm."""
        if self.arm.fault is None:
            return {}
        from tais.lab.drill.planting import Planted

        self.planted = Planted(self.arm, arm_dir)
        return {"drill": self.planted.describe()}

    def keep_finished(self) -> None:
        """Store what is finished, and how often a planted fault has acted."""
        super().keep_finished()
        if self.planted is not None:
            self.planted.note()

    def _answer(self, missing: list[Request]) -> None:
        if not missing:
            return
        if self.arm.order == "shuffled":
            # The same shuffle on every attempt and machine; another one per arm.
            random.Random(f"{self.sampling.seed}/{self.name}").shuffle(missing)
        self.take_all(missing)

    def take_all(self, missing: list[Request]) -> None:
        """Answer requests, storing parts as they fill."""
        for sample in self.engine.generate(missing, self.sampling):
            if sample is not None:
                self._take(sample)
            self.keep_pace()
        self.keep_finished()

    def _stops(self, look: int) -> bool:
        """Look at what is stored, and return whether that ends the arm."""
        from tais.analysis.looks import stop_after

        stop = stop_after(Path(self.job["looks"]), self.name, look)
        if stop is not None:
            why = "every endpoint has passed" if stop.state == "pass" else "an endpoint has failed"
            message = f"stops at look {stop.look} of {stop.looks}: {why}"
            self.events.send("looked", arm=self.name, message=message)
        return stop is not None

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
