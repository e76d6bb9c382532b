"""Configurations of several arms, tried on their engine without a model: in a process of its own."""

from __future__ import annotations

from tais.engines import ENGINES, load
from tais.worker.protocol import ConfigurationJob, Events
from tais.worker.work import Work

__all__ = ["ConfigurationRun"]


class ConfigurationRun(Work):
    """Tries the configurations of one engine's arms."""

    def __init__(self, job: ConfigurationJob, events: Events) -> None:
        super().__init__(job, events)
        self.arms = job.arms

    def execute(self) -> None:
        """Try one after the other; the first that is refused ends it, by its own name."""
        self.enter("configure")
        for arm in self.arms:
            check = ENGINES[arm.engine].configure
            if check is None:
                continue
            self.name = arm.name
            load(check)(arm)
        self.name = self.job.arm.name
