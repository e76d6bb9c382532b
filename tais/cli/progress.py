"""Progress of a run: bars on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tais.cli.console import say, stderr_console
from tais.runs.observer import Observer, Silent
from tais.worker.protocol import ArmEvent

__all__ = ["make_observer"]

_LINE_SECONDS = 10.0
_PHASES = {
    "wait": "waiting for room in the cluster",
    "load": "loading",
    "check": "checking prompts",
    "generate": "generating",
    "score": "scoring",
    "close": "closing",
}


@contextmanager
def make_observer(*, quiet: bool, verbose: bool) -> Iterator[Observer]:
    """Yield the observer that fits standard error and the user's wish."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty() and not verbose:
        with Bars() as bars:
            yield bars
    else:
        yield Lines(verbose=verbose)


def _acceptance(event: ArmEvent) -> str:
    return f"{event.accepted_tokens / event.draft_tokens:.0%} accepted" if event.draft_tokens else ""


class _Changes(TypedDict, total=False):
    """What of a bar is new."""

    say: str
    completed: float | None


class Lines:
    """One line per phase, and one each ten seconds."""

    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose
        # By arm: several may run at once.
        self._total: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._begun: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def started(self, run_dir: Path, arms: Sequence[str], samples_per_arm: int) -> None:
        """Say what is about to run."""
        say(f"{len(arms)} arms of {samples_per_arm} samples, into {run_dir}")
        if arms:
            say("importing the engine")

    def forcing(self, name: str, answers: int) -> None:
        """Say what a stack is about to read."""
        say(f"{name}: {answers} answers, or parts of them, to score")

    def note(self, text: str) -> None:
        """Say it."""
        say(text)

    def event(self, event: ArmEvent) -> None:
        """Say what an arm does, not too often."""
        now = time.monotonic()
        if event.event == "phase":
            if event.phase == "load":
                self._total[event.arm], self._stored[event.arm] = event.total, event.done
                kept = f", {event.done} of {event.total} already stored" if event.done else ""
                say(f"{event.arm}: loading{kept}")
            elif event.phase in ("generate", "score"):
                self._begun[event.arm] = self._last[event.arm] = now
                say(f"{event.arm}: {_PHASES[event.phase]}")
            elif self.verbose or event.phase == "wait":
                say(f"{event.arm}: {_PHASES.get(event.phase, event.phase)}")
        elif event.event == "progress" and now - self._last.get(event.arm, now) >= _LINE_SECONDS:
            self._last[event.arm] = now
            say(self._progress(event, now))
        elif event.event == "exit" and event.status == 0:
            say(f"{event.arm}: done")
        elif event.event == "preloaded" and self.verbose:
            say(f"engine imported in {event.seconds:.1f} s")

    def _progress(self, event: ArmEvent, now: float) -> str:
        total, done = self._total.get(event.arm, 0), self._stored.get(event.arm, 0) + event.done
        seconds = now - self._begun[event.arm]
        rate = event.tokens / max(seconds, 1e-9)
        left = (total - done) * seconds / max(event.done, 1)
        parts = [f"{done}/{total}", f"{rate:.0f} tokens/s", _acceptance(event)]
        return f"{event.arm}: {', '.join(filter(None, parts))}, {left:.0f} s left"


class Bars:
    """One bar per arm."""

    def __init__(self) -> None:
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[say]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=stderr_console(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._stored: dict[str, int] = {}
        self._begun: dict[str, float] = {}

    def __enter__(self) -> Bars:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing, leaving the bars as they are."""
        self._progress.stop()

    def started(self, run_dir: Path, arms: Sequence[str], samples_per_arm: int) -> None:
        """Draw an empty bar per arm."""
        self._progress.console.print(f"into {run_dir}", style="dim")
        for arm in arms:
            self._tasks[arm] = self._progress.add_task(arm, total=samples_per_arm, start=False, say="waiting")

    def forcing(self, name: str, answers: int) -> None:
        """Draw one more bar."""
        self._tasks[name] = self._progress.add_task(name, total=answers, start=False, say="waiting")

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text)

    def event(self, event: ArmEvent) -> None:
        """Move a bar."""
        if event.event == "phase" and event.phase == "load" and event.arm not in self._tasks:
            # A judge: how much it is asked is known only now.
            self._tasks[event.arm] = self._progress.add_task(
                event.arm, total=event.total, start=False, say="waiting"
            )
        if event.arm not in self._tasks:
            return
        task = self._tasks[event.arm]
        changes: _Changes = {}
        if event.event == "phase":
            changes["say"] = _PHASES.get(event.phase, event.phase)
            if event.phase == "load":
                self._stored[event.arm] = event.done
                changes["completed"] = event.done
            if event.phase in ("generate", "score"):
                self._begun[event.arm] = time.monotonic()
                self._progress.start_task(task)
        elif event.event == "progress":
            begun = self._begun.setdefault(event.arm, time.monotonic())
            rate = event.tokens / max(time.monotonic() - begun, 1e-9)
            changes["completed"] = self._stored.get(event.arm, 0) + event.done
            changes["say"] = ", ".join(filter(None, [f"{rate:.0f} tokens/s", _acceptance(event)]))
        elif event.event == "exit" and event.status == 0:
            changes["completed"] = self._progress.tasks[task].total
        if changes:
            self._progress.update(task, **changes)
