"""What to do next, and the word of a caught control, in every view; the terminal ends with the verdict."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from tais.cli.views.report import render_text, report_parts
from tais.manifest.model import Role
from tais.report.html.items import compared
from tais.report.next_steps import next_steps
from tais.report.render import render
from tais.verdict.codes import CODES
from tais.verdict.facts import ArmFacts
from tais.verdict.report import Reason, Report, Verdict
from tests.report.factory import contrast, control, endpoint, hostile_report, report

VIEWS = ("terminal", "html", "md", "junit")


def undecided() -> Report:
    """A screen that is inconclusive for want of items and of a control."""
    few = Reason(
        code="interval_crosses_margin", message="crosses", values={"needed_80": 1234, "needed_90": 2345}
    )
    blind = Reason(code="endpoint_not_shown_sensitive", message="nothing shows that mine can fail")
    calibration = Reason(code="calibration_not_passed", message="again against target: inconclusive")
    one = endpoint(verdict=Verdict.inconclusive, reasons=(few,))
    points = Reason(code="endpoint_inconclusive", message="mine/refusal: inconclusive")
    screened = contrast(endpoints=(one,), reasons=(points,), verdict=Verdict.inconclusive)
    made = report(screened, control(), verdict=Verdict.inconclusive, reasons=(blind, calibration))
    spec = ArmFacts(engine="vllm", model="big", speculation={"method": "draft_model", "model": "org/draft"})
    arms = {**made.facts.arms, "spec": spec}
    return made.model_copy(update={"facts": made.facts.model_copy(update={"arms": arms})})


def shown(made: Report, view: str) -> str:
    if view == "terminal":
        return " ".join(render_text(made, Path("run"), verbose=True).split())
    text = unescape(render(made, view))
    return unescape(text).replace("\\", "").replace("\u200b", "")


def test_the_codes_say_what_to_do_and_a_pass_asks_for_nothing() -> None:
    steps = {step.code: step for step in next_steps(undecided())}
    assert set(steps) == {"interval_crosses_margin", "endpoint_not_shown_sensitive", "calibration_not_passed"}
    assert "1,234 distinct prompts (power 0.8; 2,345 with 0.9)" in steps["interval_crosses_margin"].do
    assert steps["interval_crosses_margin"].where == "mine / refusal, spec"
    arm = "draft_alone: {extends: target, model: org/draft}"
    assert arm in steps["endpoint_not_shown_sensitive"].do
    assert steps["calibration_not_passed"].do == CODES["calibration_not_passed"].remedy
    assert next_steps(report()) == []


def test_what_fails_comes_first_and_each_remedy_once() -> None:
    fails = Reason(code="difference_outside_margin", message="outside")
    blocks = Reason(code="nan_scores", message="rows have no score")
    ends = tuple(endpoint(name, verdict=Verdict.failed, reasons=(blocks, fails)) for name in "abcd")
    made = report(contrast(endpoints=ends, verdict=Verdict.failed), control(), verdict=Verdict.failed)
    first, second = next_steps(made)
    assert (first.code, second.code) == ("difference_outside_margin", "nan_scores")
    assert first.where.endswith("; 1 more")


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_says_what_to_do_and_calls_a_control_caught(view: str, without_plots: None) -> None:
    found = shown(undecided(), view)
    wanted = (
        ("1,234 distinct prompts", "caught")
        if view == "terminal"
        else ("1,234 distinct prompts", "draft_alone")
    )
    for said in (*wanted, "caught"):
        assert said in found, said
    # The control is the only contrast that fails here, and no view calls that a fail.
    passed = shown(report(), view)
    assert "caught" in passed
    for word in ("❌", "✗ fail", "positive control is fail", "fail bad"):
        assert word not in passed
    if view == "junit":
        assert ET.fromstring(render(report(), "junit")).get("failures") == "0"


def drawn(made: Report, width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, color_system=None)
    for part in report_parts(made, Path("reports/demo/20260101T000000000000Z"), width=width):
        console.print(part)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    "made", [report(), undecided(), hostile_report()], ids=["pass", "undecided", "hostile"]
)
@pytest.mark.parametrize("width", [80, 200])
def test_the_verdict_is_last_within_twelve_lines_of_eighty_columns(made: Report, width: int) -> None:
    lines = drawn(made, width)
    assert lines[-1].startswith("report: reports/demo/")
    end = lines[max(i for i, line in enumerate(lines) if line.startswith(made.verdict.value.upper())) :]
    assert len(end) <= 12
    assert max(map(len, end)) <= 80
    for label in ("compared", "decided by", "could see", "flips"):
        assert any(line.strip().startswith(label) for line in end), label
    assert any(line.strip().startswith("next") for line in end) is bool(next_steps(made))


def test_what_went_well_takes_one_line_and_all_of_it_is_there_for_the_asking() -> None:
    calibrated = report(contrast(), contrast("again", role=Role.calibration, items=None), control())
    lines = drawn(calibrated, 80)
    assert len(lines) <= 24
    assert [line.split()[0] for line in lines if " against " in line and line[0] != " "] == [
        "pass",
        "pass",
        "caught",
    ]
    assert "minimum" not in "".join(lines)
    everything = render_text(calibrated, Path("run"), verbose=True)
    assert everything.count("identical outputs") == 3


def test_no_column_of_a_narrow_table_is_cut() -> None:
    made = undecided()
    for width in (72, 80, 119, 120, 200):
        table = [line for line in drawn(made, width) if "…" in line and line.startswith(" mine ")]
        assert table == []
        head = next(line for line in drawn(made, width) if "endpoint" in line and "verdict" in line)
        assert "…" not in head


def test_words_that_differ_are_marked_and_no_others() -> None:
    found = compared("I cannot help with that, sorry.", "I will help with that")
    assert found is not None
    left, right = found
    assert left.count("<mark>") == right.count("<mark>") == 2
    assert "cannot</mark> help with that<mark>, sorry.</mark>" in left
    assert "will</mark> help with that<mark>⟨end⟩</mark>" in right
    assert left.count("first difference") == right.count("first difference") == 1
    assert compared("<b>", "<i>")[0] == '&lt;<mark><span class="aloud">first difference: </span>b</mark>&gt;'  # type: ignore[index]
    assert compared("a " * 2000, "b " * 2000) is None
