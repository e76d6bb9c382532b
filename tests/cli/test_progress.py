"""Progress that is true: by tokens, without an estimate that means nothing, and done where it is done."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from tais.cli import progress
from tais.cli.progress import Bars, Pace
from tais.worker.protocol import ArmEvent

LIMIT, ASKED = 100, 200


def at(done: int, tokens: int, underway: int = 0) -> ArmEvent:
    return ArmEvent(event="progress", arm="a", done=done, tokens=tokens, underway=underway)


def test_tokens_of_unfinished_answers_move_the_bar_before_an_answer_is_finished() -> None:
    pace = Pace(ASKED, LIMIT)
    pace.begin(0.0)
    seen = []
    for second in range(1, 60):
        pace.take(at(0, 0, underway=200 * second), float(second))
        seen.append(pace.share)
        # Nobody knows yet how long an answer is.
        assert pace.left_words == ""
    assert seen == sorted(seen)
    assert 0.5 < seen[-1] < 0.61


def test_an_estimate_comes_with_enough_answers_and_is_near_the_truth() -> None:
    # Answers of 50 tokens, 100 tokens a second: 100 s in all.
    pace = Pace(ASKED, LIMIT)
    pace.begin(0.0)
    shares = []
    for second in range(1, 100):
        tokens = 100 * second
        pace.take(at(tokens // 50, tokens), float(second))
        shares.append(pace.share)
        known = pace.left_words
        if second < 5:
            assert known == ""
        elif second < 90:
            left = re.fullmatch(r"about (\d+) (s|min) left", known)
            assert left is not None, second
            assert abs(int(left[1]) * (60 if left[2] == "min" else 1) - (100 - second)) <= 31
    assert shares == sorted(shares)
    assert max(shares) <= 0.99


def test_a_bar_says_done_and_a_stopped_run_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for stopped in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=80, color_system=None, markup=False)
        monkeypatch.setattr(progress, "stderr_console", lambda: console)  # noqa: B023
        try:
            with Bars() as bars:
                bars.started(Path("run"), ["a", "b"], ASKED)
                bars.event(ArmEvent(event="phase", arm="a", phase="load", total=ASKED, limit=LIMIT))
                bars.event(ArmEvent(event="phase", arm="a", phase="generate"))
                bars.event(at(0, 0, underway=1000))
                assert bars._progress.tasks[0].completed == pytest.approx(0.05)
                assert bars._progress.tasks[0].fields["count"] == f"0/{ASKED}"
                if stopped:
                    raise KeyboardInterrupt
                bars.event(ArmEvent(event="exit", arm="a", status=0))
        except KeyboardInterrupt:
            pass
        # What is drawn last; a bar that is taken away ends with an erased line.
        last = stream.getvalue()[-400:]
        if stopped:
            assert stream.getvalue().rstrip("\n").endswith(("\x1b[2K", "\x1b[?25h"))
        else:
            assert re.search(rf"{ASKED}/{ASKED} +done", last)
            assert "waiting" in last
