"""The terminal view: nothing in it acts, neither on a terminal nor on a CI runner that keeps the log."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tais.cli.views.report import render_text, report_parts
from tais.common.text import printable
from tests.report.factory import HOSTILE, adjudication, hostile_report, report

_ACTS = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def runner_obeys(line: str) -> bool:
    """Whether a CI runner takes a line for a command: of GitHub's form, or of the older one of Azure."""
    return line.lstrip().startswith("::") or "##[" in line


@pytest.mark.parametrize("width", [20, 80, 110])
def test_hostile_text_is_plain_text_at_any_width(width: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, color_system=None)
    for part in report_parts(hostile_report(), Path("run")):
        console.print(part)
    shown = stream.getvalue()
    assert not [line for line in shown.splitlines() if runner_obeys(line)]
    assert not re.search(_ACTS, shown)


@given(st.text(), st.sampled_from(list(HOSTILE.values())))
def test_whatever_is_said_is_one_line_that_no_runner_obeys(text: str, hostile: str) -> None:
    for said in (text, hostile, text + hostile, hostile + text):
        line = printable(said)
        assert len(line.splitlines()) <= 1
        assert not re.search(_ACTS, line)
        assert not runner_obeys(line)


def test_what_people_say_is_shown_below_the_contrasts() -> None:
    one = report()
    assert "what people say" not in render_text(one, Path("run"))
    found = render_text(one.model_copy(update={"adjudication": adjudication()}), Path("run"))
    assert found.index("against target") < found.index("what people say")
    assert "flipped for the worse: 3 of 4 confirmed (75.0 %, 30.1 % to 95.4 %), 5 asked" in " ".join(
        found.split()
    )
