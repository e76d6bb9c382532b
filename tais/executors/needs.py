"""What an arm needs of a machine: what it declares, else what follows from its engine's arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tais.engines import ENGINES
from tais.manifest.model import MEMORY, Arm, Resources
from tais.worker.protocol import Job

__all__ = ["Needs", "gpus_of", "needs_of", "spans_nodes"]

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@dataclass(frozen=True, slots=True, order=True)
class Needs:
    """What one worker takes while it runs."""

    gpus: int
    cpus: int
    memory: int = 0
    """Bytes of main memory; 0 reserves none."""

    def __str__(self) -> str:
        """Return it as one would say it."""
        parts = [f"{self.gpus} GPU{'s' * (self.gpus != 1)}"] if self.gpus else []
        parts.append(f"{self.cpus} CPU{'s' * (self.cpus != 1)}")
        if self.memory:
            parts.append(f"{self.memory / 2**30:.3g} GiB of memory")
        return " and ".join(parts)


def _parallel(arm: Arm) -> int:
    """Return the number of devices of one engine: tensor times pipeline parallel."""
    options = arm.engine_args
    if arm.engine == "openai":
        options = options.get("serve") or {}
    sizes = [options.get(name) or 1 for name in ("tensor_parallel_size", "pipeline_parallel_size")]
    return math.prod(size for size in sizes if isinstance(size, int))


def spans_nodes(arm: Arm) -> bool:
    """Return whether vLLM itself spreads an arm over a Ray cluster, in a placement group of its own."""
    return bool(arm.engine_args.get("distributed_executor_backend") == "ray")


def gpus_of(arm: Arm) -> int:
    """Return how many GPUs an arm takes where there are any."""
    if arm.resources is not None and arm.resources.gpus is not None:
        return arm.resources.gpus
    return 0 if arm.attached else ENGINES[arm.engine].default_gpus * _parallel(arm)


def needs_of(job: Job, *, gpus: bool, threads: int) -> Needs:
    """Return what the worker of a job takes.

    Parameters
    ----------
    job
        The job.
    gpus
        Whether there are GPUs at all; without them, what an arm does not declare is taken in CPUs.
    threads
        CPUs of an engine that computes on a CPU and declares none.
    """
    arm, declared = job.arm, job.arm.resources or Resources()
    devices = gpus_of(arm) if gpus or declared.gpus is not None else 0
    cpus = declared.cpus
    if cpus is None:
        cpus = threads if not devices and ENGINES[arm.engine].threaded else 1
    return Needs(devices, cpus, _bytes(declared.memory))


def _bytes(text: str | None) -> int:
    match = MEMORY.fullmatch(text or "")
    return int(match[1]) * _UNITS[match[2]] if match else 0
