"""What every executor offers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tais.worker.protocol import Job, Listener

__all__ = ["Executor", "Placement"]


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs jobs; ends whatever it started when its context ends."""

    def run(self, jobs: Sequence[Job], listener: Listener) -> None:
        """Run jobs to their end; may be called again for jobs that need what these left.

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
