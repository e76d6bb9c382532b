"""What a run and its workers say to each other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ArmEvent", "Events", "Job", "Listener"]


Job = dict[str, Any]

# A pipe write of up to PIPE_BUF (4096) bytes is atomic, so that two processes may share the pipe.
_EVENT_BYTES = 4000


class ArmEvent(BaseModel):
    """What a worker tells of an arm."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Literal[
        "preloaded", "preload_failed", "phase", "progress", "failed", "stopped", "looked", "exit",
        "resolved", "part", "shard",
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
    draft_tokens: int = 0
    accepted_tokens: int = 0
    seconds: float = 0.0
    path: str = ""
    """Of a part that is stored, or of what the engine resolved to."""
    shard: int = 0
    """Which one is done."""


Listener = Callable[[ArmEvent], None]


class Events:
    """The way back to the run."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, event: str, **values: Any) -> None:
        """Send one event; a long message is shortened, never split."""
        line = json.dumps({"event": event, **values}, ensure_ascii=True)
        if len(line) >= _EVENT_BYTES and "message" in values:
            keep = max(0, len(values["message"]) - (len(line) - _EVENT_BYTES) - 16)
            line = json.dumps({"event": event, **values, "message": values["message"][: keep // 6 * 5]})
        try:
            os.write(self.descriptor, (line + "\n").encode())
        except BrokenPipeError:
            os._exit(1)  # the run is gone: nobody waits for this arm
