"""Who watches a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tais.worker.protocol import ArmEvent

__all__ = ["Observer", "Silent"]


class Observer(Protocol):
    """Who watches a run; the command line shows progress, a script may count."""

    def started(self, run_dir: Path, arms: Sequence[str], samples_per_arm: int) -> None:
        """Take note that arms are about to run."""

    def forcing(self, name: str, answers: int) -> None:
        """Take note that a stack is about to read answers."""

    def event(self, event: ArmEvent) -> None:
        """Take note of an arm's event."""

    def note(self, text: str) -> None:
        """Take note of something worth a line."""


@dataclass(slots=True)
class Silent:
    """An observer that looks away."""

    notes: list[str] = field(default_factory=list)

    def started(self, run_dir: Path, arms: Sequence[str], samples_per_arm: int) -> None:
        """Ignore it."""

    def forcing(self, name: str, answers: int) -> None:
        """Ignore it."""

    def event(self, event: ArmEvent) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Keep the text."""
        self.notes.append(text)
