"""Arms that may stop early: what each is asked between two looks, and what the run says after one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tais.analysis.looks import stop_after
from tais.executors.base import Blocks
from tais.rundir.items import Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.looks import LookPlan, blocks
from tais.worker.order import arm_order
from tais.worker.protocol import AnswerJob

__all__ = ["looked_at"]


def looked_at(
    run_dir: Path, lock: Lock, jobs: Sequence[AnswerJob], note: Callable[[str], None]
) -> dict[str, Blocks]:
    """Return what the arms that may stop early are asked, by their names.

    Parameters
    ----------
    run_dir
        The run directory, with lock and items.
    lock
        The lock.
    jobs
        Jobs of arms.
    note
        Takes a line for every arm that stops.
    """
    plan = LookPlan.of(lock)
    if plan is None:
        return {}
    looks = blocks(plan, Items(RunDir(run_dir).items), lock.sampling.n)
    return {
        job.arm.name: Blocks(
            tuple(_in_order(look, job) for look in looks), partial(_stops, run_dir, job.arm.name, note)
        )
        for job in jobs
        if job.arm.name in plan.arms
    }


def _in_order(look: Sequence[int], job: AnswerJob) -> tuple[int, ...]:
    # Inside a block the order is that of the arm: nobody looks before its end.
    return tuple(look[index] for index in arm_order(len(look), job.arm, job.sampling))


def _stops(run_dir: Path, arm: str, note: Callable[[str], None], look: int) -> bool:
    stop = stop_after(run_dir, arm, look)
    if stop is None:
        return False
    why = "every endpoint has passed" if stop.state == "pass" else "an endpoint has failed"
    note(f"{arm}: stops at look {stop.look} of {stop.looks}: {why}")
    return True
