"""What a run and its workers say to each other: jobs and shards one way, events the other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tais.manifest.model import Arm, Sampling

__all__ = [
    "AnswerJob",
    "ArmEvent",
    "ConfigurationJob",
    "Events",
    "Job",
    "Listener",
    "Shard",
    "ShardJob",
    "StoringJob",
    "TeacherForcingJob",
    "TimingJob",
    "read_job",
]

# A pipe write of up to PIPE_BUF (4096) bytes is atomic, so that two processes may share the pipe.
_EVENT_BYTES = 4000


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Job(_Record):
    """What all jobs have."""

    arm: Arm
    sampling: Sampling
    items: Path
    """What is asked: items.parquet, or the questions of a judge."""
    log: Path
    """Where all goes that the engine prints."""


class StoringJob(_Job):
    """What all jobs have that leave parts behind."""

    arm_dir: Path
    """Where parts go."""
    part_samples: int
    part_seconds: float
    """A part is written when it is full, or that old."""
    stored: Path | None = None
    """Where what is done already lies, if not in `arm_dir`; every part is then told of, to be collected."""
    probes: Path | None = None
    """Folder with questions of TAIS's own, which the engine of a whole arm is asked afterwards."""
    enough_tokens: int | None = None
    """A job that answers stops asking once so many tokens are stored; None to ask everything."""
    inputs: tuple[str, ...] = ()
    """Files to fetch first, relative to the run directory, where a worker does not see it."""


class AnswerJob(StoringJob):
    """An arm, or a judge, that answers everything that it has not answered yet."""

    kind: Literal["answer"] = "answer"


class ShardJob(StoringJob):
    """An arm that is handed its questions in shards while it runs.

    Without `stored` it has its folder to itself, and its shards name no other.
    """

    kind: Literal["shards"] = "shards"


class TeacherForcingJob(StoringJob):
    """Answers of some arms, read token by token by one stack."""

    kind: Literal["audit"] = "audit"
    worklist: Path
    arms_dir: Path
    top: int
    """Best tokens that are kept per position."""
    total: int
    """Spans that the worklist stands for."""
    optional: bool
    """Whether the run goes on where this fails."""
    own_answers: Path | None = None
    """Where the reference's own answers lie that are a control, each in a folder of its own."""
    to_the_end: tuple[str, ...] = ()
    """Arms whose answers are scored to their end, the end itself with them."""


class TimingJob(_Job):
    """A few items of an arm, timed."""

    kind: Literal["calibrate"] = "calibrate"
    items_timed: int
    result: Path


class ConfigurationJob(_Job):
    """Arms of one engine whose settings are tried, without a model."""

    kind: Literal["configure"] = "configure"
    arms: tuple[Arm, ...]


Job = AnswerJob | ShardJob | TeacherForcingJob | TimingJob | ConfigurationJob
_JOB: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="kind")])


def read_job(data: object) -> Job:
    """Return a job that came as JSON data."""
    return _JOB.validate_python(data)


class Shard(_Record):
    """A piece of what an arm is asked."""

    number: int
    """Which one, from 0."""
    places: tuple[int, ...]
    """Requests of the items file by their index, in the order in which they are asked."""
    folder: Path
    """Where parts go."""


class ArmEvent(BaseModel):
    """What a worker tells of an arm."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Literal[
        "preloaded", "preload_failed", "phase", "progress", "failed", "stopped", "exit", "resolved", "part",
        "shard",
    ]  # fmt: skip
    arm: str = ""
    phase: str = ""
    kind: str = ""
    message: str = ""
    status: int = 0
    pid: int | None = None
    total: int = 0
    done: int = 0
    tokens: int = 0
    underway: int = 0
    """Tokens of answers that are not finished."""
    limit: int = 0
    """Most tokens of one answer; 0 where that is not known."""
    draft_tokens: int = 0
    accepted_tokens: int = 0
    seconds: float = 0.0
    path: str = ""
    """Of a part that is stored, or of what the engine resolved to."""
    shard: int = 0
    """Which one is done."""
    key: tuple[str | int, ...] | None = None
    """Below the arm, where its settings are refused."""
    remedy: str | None = None
    touched: str = ""
    """What shows that importing the engine has initialised a GPU."""


Listener = Callable[[ArmEvent], None]


class Events:
    """The way back to the run."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, event: str, **values: object) -> None:
        """Send one event; a long message is shortened, never split."""
        line = json.dumps({"event": event, **values}, ensure_ascii=True)
        message = values.get("message")
        if len(line) >= _EVENT_BYTES and isinstance(message, str):
            keep = max(0, len(message) - (len(line) - _EVENT_BYTES) - 16)
            line = json.dumps({"event": event, **values, "message": message[: keep // 6 * 5]})
        try:
            os.write(self.descriptor, (line + "\n").encode())
        except BrokenPipeError:
            os._exit(1)  # the run is gone: nobody waits for this arm
