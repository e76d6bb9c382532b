"""What an arm needs of a machine: what it declares, else what follows from its engine's arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tais.manifest.model import MEMORY
from tais.worker.protocol import Job

__all__ = ["Needs", "gpus_of", "needs_of", "spans_nodes"]

# They run no model on this machine's devices.
_WITHOUT_DEVICES = ("import",)
# They compute on all threads that they are given.
_THREADED = ("vllm", "transformers", "reference")
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


def _parallel(arm: Mapping[str, Any]) -> int:
    """Return the number of devices of one engine: tensor times pipeline parallel."""
    options = arm.get("engine_args") or {}
    if arm["engine"] == "openai":
        options = options.get("serve") or {}
    sizes = [options.get(name) or 1 for name in ("tensor_parallel_size", "pipeline_parallel_size")]
    return math.prod(size for size in sizes if isinstance(size, int))


def spans_nodes(arm: Mapping[str, Any]) -> bool:
    """Return whether vLLM itself spreads an arm over a Ray cluster, in a placement group of its own."""
    return (arm.get("engine_args") or {}).get("distributed_executor_backend") == "ray"


def gpus_of(arm: Mapping[str, Any]) -> int:
    """Return how many GPUs an arm takes where there are any.

    Parameters
    ----------
    arm
        As of a job: plain data.
    """
    declared = (arm.get("resources") or {}).get("gpus")
    if declared is not None:
        return int(declared)
    attached = arm["engine"] == "openai" and "serve" not in (arm.get("engine_args") or {})
    return 0 if attached or arm["engine"] in _WITHOUT_DEVICES else _parallel(arm)


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
    arm = job["arm"]
    declared = arm.get("resources") or {}
    devices = gpus_of(arm) if gpus or declared.get("gpus") is not None else 0
    cpus = declared.get("cpus")
    if cpus is None:
        cpus = threads if not devices and arm["engine"] in _THREADED else 1
    return Needs(devices, int(cpus), _bytes(declared.get("memory")))


def _bytes(text: str | None) -> int:
    match = MEMORY.fullmatch(text or "")
    return int(match[1]) * _UNITS[match[2]] if match else 0
