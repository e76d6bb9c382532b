"""One arm in shards: one engine, and what it is asked comes piece by piece while it runs.

Each line of the feed is a :class:`~tais.worker.protocol.Shard`. Who feeds it decides how much is asked: a
cluster divides an arm among workers, and a run that may stop an arm early looks at what is stored before it
hands out more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tais.records import Request
from tais.worker.answering import ArmRun
from tais.worker.protocol import Events, Shard, ShardJob

__all__ = ["ShardRun"]


class ShardRun(ArmRun):
    """The state of one arm's worker, of which there may be several.

    Parameters
    ----------
    job
        The arm.
    events
        Where progress goes.
    feed
        Descriptor from which shards are read.
    """

    def __init__(self, job: ShardJob, events: Events, feed: int) -> None:
        super().__init__(job, events)
        self._feed, self._alone = feed, job.stored is None

    def execute(self) -> None:
        """Answer shard after shard with one engine, until there is none left."""
        requests = self.requests()
        # Where nobody else works at the arm, all of it is checked before its first token.
        missing = self.take_folder(requests) if self._alone else []
        for shard in _shards(self._feed):
            asked = [requests[place] for place in shard.places]
            if asked:
                self._answer(asked, missing, shard)
            self.events.send("shard", arm=self.name, shard=shard.number)
        self.end()

    def _answer(self, asked: list[Request], missing: list[Request], shard: Shard) -> None:
        if self.writer is None:
            if not self._alone:
                self.enter("load")
            self.begin(missing or asked, shard.folder)
        elif not self._alone:
            self.resume(asked, shard.folder)
        self.take_all(asked)


def _shards(descriptor: int) -> Iterator[Shard]:
    with os.fdopen(descriptor, "rb") as feed:
        yield from map(Shard.model_validate_json, _whole(feed))


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; half a line is the end of a run that was killed."""
    return (line for line in lines if line.endswith(b"\n"))
