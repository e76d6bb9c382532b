"""Whether prompts opened the thinking, as the answers of an arm tell; and judges that think."""

from __future__ import annotations

from pathlib import Path

import pytest

from tais.records import Sample, SampleKey
from tais.rundir.layout import RunDir
from tais.rundir.samples import PartWriter
from tais.scorers import find_scorer
from tais.scorers.judges import Judge
from tais.scoring.opened import opened_batteries
from tais.scoring.replies import Replies


def store(folder: Path, *answers: tuple[str, str], battery: str = "b") -> None:
    writer = PartWriter(folder)
    for number, (text, reason) in enumerate(answers):
        writer.add(Sample(SampleKey(battery, str(number), 0), "", None, None, text, reason))
    writer.flush()


CLOSES, CUT, ENDS = ("so</think>A", "stop"), ("Let me see", "length"), ("A", "stop")


@pytest.mark.parametrize(
    ("answers", "opened"),
    [
        ([CLOSES, CUT, CUT, CUT], True),
        ([CLOSES, CLOSES, ENDS, CUT], True),
        # One stray mark shows nothing.
        ([CLOSES, ENDS, ENDS, CUT], False),
        ([("<think>so</think>A", "stop"), CUT], False),
        ([CUT, CUT], False),
        ([], False),
    ],
)
def test_prompts_opened_the_thinking_where_answers_close_it(
    tmp_path: Path, answers: list[tuple[str, str]], opened: bool
) -> None:
    store(tmp_path, *answers)
    store(tmp_path, ENDS, battery="other")
    assert opened_batteries(tmp_path) == (frozenset("b") if opened else frozenset())


def test_a_judge_that_thinks_is_read_by_its_answer(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    judge = find_scorer({"name": "judge_rubric", "judge": "j"})
    assert isinstance(judge, Judge)
    store(run.judge("j"), ("<think>Yes? No.</think>no", "stop"), ("<think>Yes", "length"), battery=judge.name)
    replies = Replies(run)._of("j")
    assert [judge.read(replies[judge.name, key], "refuse").label for key in "01"] == ["no", "unreadable"]
