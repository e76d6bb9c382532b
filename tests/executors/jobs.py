"""Jobs as a run makes them, with an arm as a manifest would say it."""

from __future__ import annotations

from pathlib import Path

from tais.manifest.model import Arm, Sampling
from tais.worker.protocol import AnswerJob


def made_job(folder: Path = Path("run"), **arm: object) -> AnswerJob:
    told = Arm.model_validate({"name": "target", "engine": "fake", **arm})
    return AnswerJob(
        arm=told,
        sampling=Sampling(),
        items=folder / "items.parquet",
        arm_dir=folder / "arms" / told.name,
        log=folder / "logs" / f"{told.name}.log",
        part_samples=256,
        part_seconds=10.0,
    )
