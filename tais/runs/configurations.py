"""Every arm's settings are tried on its engine before any arm answers: no slip costs an hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tais.engines import ENGINES
from tais.errors import ManifestError
from tais.executors.base import Executor
from tais.executors.needs import gpus_of
from tais.manifest.load import place_in
from tais.worker.protocol import ArmEvent, ConfigurationJob, Job, Listener

__all__ = ["check_configurations", "configuration_jobs"]

_NAME = "configurations"


def check_configurations(executor: Executor, jobs: Sequence[Job], manifest: Path, listener: Listener) -> None:
    """Let engines refuse the settings of arms, without their models.

    Parameters
    ----------
    executor
        Of this machine.
    jobs
        Of all arms and judges that will run.
    manifest
        Its file, for errors.
    listener
        Is told of imports alone.

    Raises
    ------
    ManifestError
        Naming the first arm that is refused, with line and key.
    EngineError
        Where a model is not at hand, or an engine not installed.
    """

    def imports(event: ArmEvent) -> None:
        if event.event in ("preloaded", "preload_failed"):
            listener(event)

    try:
        executor.run(list(configuration_jobs(jobs)), imports)
    except ManifestError as error:
        key = error.place.key if error.place is not None else None
        raise ManifestError(error.what, place=place_in(manifest, key or ""), remedy=error.remedy) from error


def configuration_jobs(jobs: Sequence[Job]) -> Iterator[ConfigurationJob]:
    """Yield a job for the arms of one engine, interpreter and number of devices."""
    groups: dict[tuple[str, str | None, int], list[Job]] = {}
    for job in jobs:
        if ENGINES[job.arm.engine].configure is not None:
            groups.setdefault((job.arm.engine, job.arm.python, gpus_of(job.arm)), []).append(job)
    for group in groups.values():
        first = group[0]
        yield ConfigurationJob(
            arm=first.arm.model_copy(update={"name": _NAME, "start_of": None}),
            arms=tuple(job.arm for job in group),
            sampling=first.sampling,
            items=first.items,
            log=first.log.with_name(f"{_NAME}.log"),
        )
