"""Jobs on equal workers by list scheduling: whoever is free takes the next job of the list."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Done", "Job", "makespan", "schedule", "split"]


class Job(NamedTuple):
    """A share of an arm."""

    arm: str
    fixed: float
    """Seconds to load and warm up, unless its worker holds the arm's engine already."""
    work: float
    """Seconds to answer."""
    first: bool = False
    """Whether it belongs to a reference arm: contrasts finish when both of their arms have."""

    @property
    def seconds(self) -> float:
        """All that it may take."""
        return self.fixed + self.work


class Done(NamedTuple):
    """A job with its place."""

    job: Job
    worker: int
    start: float
    end: float


def split(arm: str, fixed: float, work: float, shards: int, *, first: bool) -> list[Job]:
    """Return an arm as shards.

    Parameters
    ----------
    arm
        Its name.
    fixed
        Seconds of load and warm-up, once per worker that takes a shard.
    work
        Seconds that are divided among them.
    shards
        At least 1.
    first
        See :class:`Job`.
    """
    return [Job(arm, fixed, work / shards, first) for _ in range(shards)]


def schedule(jobs: Iterable[Job], workers: int) -> list[Done]:
    """Place jobs on workers: reference arms first, then the longest first.

    Parameters
    ----------
    jobs
        In any order; equal ones keep theirs.
    workers
        At least 1, all alike.

    Returns
    -------
    list of Done
        In the order of their start.

    Notes
    -----
    Longest-first list scheduling takes at most 4/3 - 1/(3 workers) of the shortest possible time; putting the
    reference arms first can cost more, up to the bound of any list, 2 - 1/workers. The bounds are for jobs
    that load for themselves. Shards of an arm stand side by side in the list, so that a worker mostly goes
    on with the engine that it has.

    References
    ----------
    Graham (1969), SIAM Journal on Applied Mathematics 17, 416-429.
    """
    free = [(0.0, worker) for worker in range(workers)]
    loaded: dict[int, str] = {}
    done = []
    for job in sorted(jobs, key=lambda job: (not job.first, -job.seconds, job.arm)):
        start, worker = heapq.heappop(free)
        end = start + job.work + (0.0 if loaded.get(worker) == job.arm else job.fixed)
        loaded[worker] = job.arm
        done.append(Done(job, worker, start, end))
        heapq.heappush(free, (end, worker))
    return done


def makespan(done: Sequence[Done]) -> float:
    """Return when the last job ends, in seconds; 0 without jobs."""
    return max((entry.end for entry in done), default=0.0)
