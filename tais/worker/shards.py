"""One arm in shards: one engine, and what it is asked comes piece by piece while it runs.

A shard is a range of the arm's requests in the arm's own order. Each line of the feed names one::

    {"shard": 3, "first": 6144, "last": 8192, "done": [[6144, 6400]], "folder": "..."}

``done`` lists the ranges that are stored already. Parts go into the shard's folder.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.common.machine import describe_environment
from tais.manifest.model import Sampling
from tais.rundir.items import read_requests
from tais.rundir.samples import PartWriter
from tais.worker.answering import ArmRun

if TYPE_CHECKING:
    from tais.records import Request
    from tais.worker.protocol import Events, Job

__all__ = ["ShardRun", "arm_order"]


def arm_order(count: int, order: str, sampling: Sampling, name: str) -> list[int]:
    """Return the indices of an arm's requests in the order in which it is asked.

    Parameters
    ----------
    count
        Number of requests.
    order
        ``battery`` or ``shuffled``: the same shuffle on every attempt and machine, another one per arm.
    sampling
        Its seed counts.
    name
        Of the arm.
    """
    indices = list(range(count))
    if order == "shuffled":
        random.Random(f"{sampling.seed}/{name}").shuffle(indices)
    return indices


class ShardRun(ArmRun):
    """The state of one arm's worker, of which there may be several."""

    def __init__(self, job: Job, events: Events) -> None:
        super().__init__(job, events)
        self._started = False

    def execute(self) -> None:
        """Answer shard after shard with one engine, until there is none left."""
        requests = read_requests(Path(self.job["items"]), self.sampling, self.arm.system_prompt)
        order = arm_order(len(requests), self.arm.order, self.sampling, self.name)
        for shard in _lines(self.job["feed"]):
            done = {place for first, last in shard["done"] for place in range(first, last)}
            places = (place for place in range(shard["first"], shard["last"]) if place not in done)
            self._shard([requests[order[place]] for place in places], Path(shard["folder"]))
            self.events.send("shard", arm=self.name, shard=shard["shard"])
        if self._started:
            self.enter("close")
            self.engine.close()

    def _shard(self, missing: list[Request], folder: Path) -> None:
        if not missing:
            return
        if not self._started:
            self.enter("load")
            self._environment = describe_environment()
            self._resolved = self.engine.start(self.arm)
        self.enter("check")
        self.engine.check(missing, self.sampling)
        self.writer = PartWriter(folder)
        if not self._started:
            now = {"resolved": self._resolved, "environment": self._environment}
            self.record(folder / "engine.json", now)
            self._started = True
        self.enter("generate")
        self.take_all(missing)


def _lines(descriptor: int) -> Iterator[dict[str, Any]]:
    with os.fdopen(descriptor, "rb") as feed:
        yield from map(json.loads, _whole(feed))


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; half a line is the end of a run that was killed."""
    return (line for line in lines if line.endswith(b"\n"))
