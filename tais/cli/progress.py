"""Progress of a run: bars on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tais.cli.console import say, stderr_console
from tais.runs.observer import Observer, Silent
from tais.worker.protocol import ArmEvent

__all__ = ["make_observer"]

_LINE_SECONDS = 10.0
# An estimate of time waits for so many finished answers, this share of them, and so many seconds.
_FEWEST, _LEAST_SHARE, _LEAST_SECONDS = 8, 0.05, 5.0
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
    count: str
    completed: float


@dataclass(slots=True)
class Pace:
    """How far an arm is, by tokens: for minutes no answer is finished, and the short ones are first."""

    asked: int = 0
    """Answers to give."""
    limit: int = 0
    """Most tokens of one; 0 where that is not known."""
    begun: float | None = None
    seconds: float = 0.0
    tokens: int = 0
    done: int = 0
    share: float = 0.0
    """Between 0 and 1; never falls."""

    def begin(self, now: float) -> None:
        """Start the clock."""
        self.begun = now if self.begun is None else self.begun

    def take(self, event: ArmEvent, now: float) -> None:
        """Take a progress event."""
        self.begin(now)
        assert self.begun is not None
        self.seconds, self.done = now - self.begun, event.done
        self.tokens = event.tokens + event.underway
        self.share = max(self.share, min(self.tokens / self.expected(event), 0.99) if self.tokens else 0.0)
        if self.asked and not self.tokens:
            # What is read, not written, has no tokens.
            self.share = max(self.share, min(self.done / self.asked, 0.99))

    def expected(self, event: ArmEvent) -> float:
        """Return the tokens to expect: by the mean of what is finished, else the most that may come."""
        if self._known:
            mean = event.tokens / self.done
            return max(mean * self.asked, self.tokens, 1.0)
        return max(self.limit * self.asked, self.tokens / 0.99, 1.0)

    @property
    def _known(self) -> bool:
        """Whether enough answers are finished that their mean says something of the rest."""
        return self.done >= max(_FEWEST, _LEAST_SHARE * self.asked)

    @property
    def rate_words(self) -> str:
        """Tokens per second; empty while there are none."""
        return f"{self.tokens / max(self.seconds, 1e-9):.0f} tokens/s" if self.tokens else ""

    @property
    def left_words(self) -> str:
        """Time left; empty where nothing is known of it yet."""
        if not self._known or self.share <= 0 or self.seconds < _LEAST_SECONDS:
            return ""
        left = self.seconds * (1 - self.share) / self.share
        return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"


class Lines:
    """One line per phase, and one each ten seconds."""

    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose
        # By arm: several may run at once.
        self._total: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._paces: dict[str, Pace] = {}
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
                self._paces[event.arm] = Pace(event.total - event.done, event.limit)
                kept = f", {event.done} of {event.total} already stored" if event.done else ""
                say(f"{event.arm}: loading{kept}")
            elif event.phase in ("generate", "score"):
                self._paces.setdefault(event.arm, Pace()).begin(now)
                self._last[event.arm] = now
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
        pace = self._paces.setdefault(event.arm, Pace())
        pace.take(event, now)
        done = self._stored.get(event.arm, 0) + event.done
        parts = [
            f"{done}/{self._total.get(event.arm, 0)}",
            pace.rate_words,
            _acceptance(event),
            pace.left_words,
        ]
        return f"{event.arm}: {', '.join(filter(None, parts))}"


class Bars:
    """One bar per arm."""

    def __init__(self) -> None:
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[say]}", markup=False),
            console=stderr_console(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._paces: dict[str, Pace] = {}

    def __enter__(self) -> Bars:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop drawing, leaving the bars as they are; where the run was stopped, without them.

        The terminal has written ^C into a line of theirs, so drawing them once more would show them twice.
        """
        self._progress.live.transient = kind is not None
        self._progress.stop()

    def started(self, run_dir: Path, arms: Sequence[str], samples_per_arm: int) -> None:
        """Draw an empty bar per arm."""
        self._progress.console.print(f"into {run_dir}", style="dim")
        for arm in arms:
            self._add(arm, samples_per_arm)

    def forcing(self, name: str, answers: int) -> None:
        """Draw one more bar."""
        self._add(name, answers)

    def _add(self, name: str, total: int) -> None:
        # Of the bar, in shares; answers are counted beside it.
        self._tasks[name] = self._progress.add_task(
            name, total=1.0, start=False, say="waiting", count=f"0/{total}"
        )
        self._totals[name] = total

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text)

    def event(self, event: ArmEvent) -> None:
        """Move a bar."""
        if event.event == "phase" and event.phase == "load" and event.arm not in self._tasks:
            # A judge: how much it is asked is known only now.
            self._add(event.arm, event.total)
        if event.arm not in self._tasks:
            return
        changes: _Changes = {}
        total = self._totals[event.arm]
        if event.event == "phase":
            changes["say"] = _PHASES.get(event.phase, event.phase)
            if event.phase == "load":
                self._stored[event.arm] = event.done
                self._paces[event.arm] = Pace(total - event.done, event.limit)
                changes |= {"count": f"{event.done}/{total}", "completed": event.done / max(total, 1)}
            if event.phase in ("generate", "score"):
                self._paces.setdefault(event.arm, Pace(total)).begin(time.monotonic())
                self._progress.start_task(self._tasks[event.arm])
        elif event.event == "progress":
            changes = self._moved(event, total)
        elif event.event == "exit" and event.status == 0:
            changes = {"completed": 1.0, "say": "done", "count": f"{total}/{total}"}
        if changes:
            self._progress.update(self._tasks[event.arm], **changes)

    def _moved(self, event: ArmEvent, total: int) -> _Changes:
        pace = self._paces.setdefault(event.arm, Pace(total))
        pace.take(event, time.monotonic())
        stored = self._stored.get(event.arm, 0)
        kept = stored / max(total, 1)
        said = ", ".join(filter(None, [pace.rate_words, _acceptance(event), pace.left_words]))
        return {
            "completed": kept + (1 - kept) * pace.share,
            "count": f"{stored + event.done}/{total}",
            "say": said or "generating",
        }
