"""Every view says what shows an endpoint able to fail, and names what is waived."""

from __future__ import annotations

import pytest

from tais.report.headline import headline
from tais.report.junit import render_junit
from tais.report.markdown import render_markdown
from tais.report.meaning import says_not
from tais.verdict.report import Report, SensitivityReport
from tests.report.factory import contrast, endpoint, report

SHOWN = SensitivityReport(shown_by=("exchange", "draft"), minimum_leak=0.05, exchanged=60, loss=1.0)
WAIVED = SensitivityReport(waived=True)
BLIND = SensitivityReport()


def one(sensitivity: SensitivityReport) -> Report:
    return report(contrast(endpoints=(endpoint("mine", stratum="refuse", sensitivity=sensitivity),)))


def test_the_headline_keeps_reading_and_leaks_apart() -> None:
    top = headline(one(SHOWN))
    assert top.shown.value == "1 of 1"
    assert "read the words of the reference, and no more" in top.shown.meaning
    assert top.shown != top.seen
    assert headline(one(BLIND)).shown.value == "0 of 1"


def test_the_headline_names_what_is_waived() -> None:
    assert "nothing shows that mine/refuse could fail" in headline(one(WAIVED)).claim
    assert "Waived" not in headline(one(SHOWN)).claim


@pytest.mark.parametrize(
    ("sensitivity", "words", "skipped"),
    [
        (SHOWN, "exchange, draft; 5 %", False),
        (WAIVED, "not shown (waived)", False),
        (BLIND, "not shown", True),
    ],
)
def test_junit_and_markdown_say_it(sensitivity: SensitivityReport, words: str, skipped: bool) -> None:
    made = one(sensitivity)
    junit = render_junit(made)
    case = junit[junit.index("shown able to fail") :].partition("</testcase>")[0]
    assert words in case
    assert ("<skipped" in case) is skipped
    assert words.split(";")[0] in render_markdown(made)


def test_nobody_may_conclude_that_the_candidate_is_read() -> None:
    assert any("exchange of the reference's own answers" in line for line in says_not(one(SHOWN)))
    assert any("waive" in line for line in says_not(one(WAIVED)))
