"""What every executor offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from tais.worker.protocol import Job, Listener

__all__ = ["NO_BLOCKS", "Blocks", "Executor", "Placement"]


@dataclass(frozen=True, slots=True)
class Blocks:
    """What an arm is asked block by block, since it may be stopped after each."""

    places: tuple[tuple[int, ...], ...]
    """Requests of each block by their index in the items file, in the order in which they are asked."""
    stops: Callable[[int], bool]
    """Whether the arm stops, given the number of blocks whose answers are stored."""


NO_BLOCKS: Mapping[str, Blocks] = MappingProxyType({})


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs jobs; ends whatever it started when its context ends."""

    def run(self, jobs: Sequence[Job], listener: Listener, blocks: Mapping[str, Blocks] = NO_BLOCKS) -> None:
        """Run jobs to their end; may be called again for jobs that need what these left.

        Parameters
        ----------
        jobs
            Arms, or other work.
        listener
            Who is told.
        blocks
            By name of the arm, where it is asked in blocks. Such arms start when all others are done: what
            they are held against is whole by then.

        Raises
        ------
        EngineError
            When an arm fails. What was stored stays.
        """
        ...


@dataclass(frozen=True, slots=True)
class Placement:
    """Where arms run, as the command line says it."""

    executor: str = "local"
    devices: tuple[str, ...] | None = None
    """GPUs of this machine that arms share out; None takes all that are visible. Local only."""
    address: str | None = None
    """HOST:PORT of a running cluster, or ``auto``; None takes RAY_ADDRESS, else starts a cluster here."""
    shared: str | None = None
    """Folder or fsspec URL that all nodes reach; None takes the run directory."""
    shard_items: int | None = None
    """Answers per shard; None divides only arms whose answers do not depend on their batch."""
    pass_env: tuple[str, ...] = ()
    """Variables of the environment that engines get beside those that they are known to read."""
