"""Who asks the probes of a run: the engine of each arm, right after the arm's items, wherever that can be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tais.plan.probes import write_probes
from tais.rundir.layout import ITEMS, RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.samples import stored_keys
from tais.worker.protocol import AnswerJob

__all__ = ["late_probes", "prepare_probes", "with_probes"]


def prepare_probes(run: RunDir, lock: Lock) -> None:
    """Write the questions into the folder of each arm that is asked them, where they are not yet."""
    if lock.probes is None:
        return
    for arm in lock.probes.arms:
        path = run.probe(arm) / ITEMS
        if not path.exists():
            write_probes(path, lock.probes.expect)


def with_probes(run: RunDir, lock: Lock, jobs: Iterable[AnswerJob]) -> list[AnswerJob]:
    """Return the jobs of arms, with the folder of their probes where they have any."""
    asked = lock.probes.arms if lock.probes is not None else ()
    return [
        job.model_copy(update={"probes": run.probe(job.arm.name)}) if job.arm.name in asked else job
        for job in jobs
    ]


def late_probes(
    run: RunDir, lock: Lock, jobs: Iterable[AnswerJob], tried: Collection[str]
) -> Iterator[AnswerJob]:
    """Yield a job of its own for each arm whose engine was not asked its probes in passing.

    On a cluster an arm is divided among workers, and answers from a cache come without an engine.

    Parameters
    ----------
    run, lock
        Of the run.
    jobs
        Of all arms.
    tried
        Arms whose outputs exist already and that were looked through for probes: they say no more.
    """
    if lock.probes is None:
        return
    for job in jobs:
        name = job.arm.name
        if name not in lock.probes.arms or name in tried:
            continue
        folder = run.probe(name)
        if len(stored_keys(folder)) < lock.probes.items:
            # What was planted in a drill is checked with the arm's items.
            arm = job.arm.model_copy(update={"name": f"{name}.probes", "fault": None})
            sampling = job.sampling.model_copy(update={"n": 1})
            paths = {"items": folder / ITEMS, "arm_dir": folder, "log": run.log(arm.name), "probes": None}
            yield job.model_copy(update={"arm": arm, "sampling": sampling, **paths})
