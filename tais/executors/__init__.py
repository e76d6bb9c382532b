"""Where arms run: local processes, or the actors of a Ray cluster. Looked up by name, imported when used."""

from __future__ import annotations

import importlib.util
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from tais.common.install import pip_install
from tais.errors import EngineError, UsageError
from tais.executors.base import Executor, Placement
from tais.rundir.layout import RunDir
from tais.worker.protocol import AnswerJob, Job

__all__ = ["EXECUTORS", "check_executor", "create_executor", "targets_first"]

EXECUTORS = ("local", "ray")


def check_executor(placement: Placement) -> None:
    """Raise a TaisError unless the executor is known and installed; nothing is imported."""
    if placement.executor not in EXECUTORS:
        raise UsageError(
            f"no executor named {placement.executor!r}", remedy=f"Executors: {', '.join(EXECUTORS)}"
        )
    if placement.executor == "ray" and importlib.util.find_spec("ray") is None:
        raise EngineError("ray is not installed", remedy=f"Install it: {pip_install('ray')}")


def create_executor(
    placement: Placement, run_dir: Path, *, stall_seconds: float, planned: Sequence[Job]
) -> Executor:
    """Return a new executor.

    Parameters
    ----------
    placement
        Which one, and where.
    run_dir
        The run directory.
    stall_seconds
        An arm that tells of no progress for so long is stopped.
    planned
        All jobs that may come.
    """
    if placement.executor == "ray":
        from tais.executors.ray.executor import RayExecutor

        return RayExecutor(run_dir, placement, stall_seconds=stall_seconds, planned=planned)
    from tais.executors.devices import visible_devices
    from tais.executors.local import LocalExecutor
    from tais.executors.staging import STAGING, RunDepot, sweep

    if (run_dir / STAGING).exists():
        # A run on a cluster that was killed left answers uncollected.
        sweep(run_dir, RunDepot(run_dir))

    devices = visible_devices() if placement.devices is None else placement.devices
    return LocalExecutor(
        RunDir(run_dir).logs,
        stall_seconds=stall_seconds,
        planned=planned,
        devices=devices,
        pass_env=placement.pass_env,
    )


def targets_first(jobs: Iterable[AnswerJob], references: Container[str]) -> list[AnswerJob]:
    """Return jobs with those first that others are compared with, so that contrasts finish early."""
    return sorted(jobs, key=lambda job: job.arm.name not in references)
