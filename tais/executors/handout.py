"""What an arm is asked block by block, by one worker that has its folder to itself."""

from __future__ import annotations

from pathlib import Path

from tais.executors.base import Blocks
from tais.manifest.model import Sampling
from tais.records import SampleKey
from tais.rundir.items import Items
from tais.rundir.samples import stored_keys
from tais.worker.protocol import AnswerJob, ArmEvent, Listener, Shard, ShardJob

__all__ = ["Handout", "request_keys"]


def request_keys(items: Path, sampling: Sampling) -> list[SampleKey]:
    """Return the keys of all requests of an arm, in the order of the items file."""
    return [SampleKey(*key, repeat) for key in Items(items) for repeat in range(sampling.n)]


class Handout:
    """Hands out block after block until the run stops the arm.

    Parameters
    ----------
    job
        Of the arm.
    blocks
        What it is asked, and who says when it stops.
    """

    def __init__(self, job: AnswerJob, blocks: Blocks) -> None:
        self.job = ShardJob.model_validate(dict(job) | {"kind": "shards"})
        self._stops, self._past = blocks.stops, 0
        keys, stored = request_keys(job.items, job.sampling), stored_keys(job.arm_dir)
        self._total, self._done = len(keys), len(stored)
        self._missing = [
            tuple(place for place in block if keys[place] not in stored) for block in blocks.places
        ]

    def next(self) -> Shard | None:
        """Return what is asked next, given that all before it is stored; None where the arm is done."""
        while self._past < len(self._missing):
            if self._past and self._stops(self._past):
                self._past = len(self._missing)
                break
            missing, self._past = self._missing[self._past], self._past + 1
            if missing:
                return Shard(number=self._past - 1, places=missing, folder=self.job.arm_dir)
        return None

    def tell_done(self, listener: Listener) -> None:
        """Tell of an arm that was done before it began."""
        name = self.job.arm.name
        listener(ArmEvent(event="phase", arm=name, phase="load", total=self._total, done=self._done))
        listener(ArmEvent(event="exit", arm=name))
