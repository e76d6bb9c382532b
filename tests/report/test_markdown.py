"""Markdown for pull requests: bounded, harmless in a comment and in a log."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tais.report.markdown import render_markdown
from tais.verdict.report import Report
from tests.report.factory import HOSTILE, contrast, endpoint, hostile_report, item, report

USUAL_LINES = len(render_markdown(report()).split("\n"))


def test_it_starts_with_the_verdict_and_the_number_that_decided() -> None:
    text = render_markdown(report())
    assert text.startswith("### ✅ pass: demo\n")
    assert "−1.00 pp" in text
    assert "could have seen" in text


def test_no_line_is_a_command_of_a_log() -> None:
    text = render_markdown(hostile_report())
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert "##[" not in text
    assert "::" not in text


def test_hostile_text_adds_no_markup() -> None:
    text = render_markdown(hostile_report())
    text.encode()
    assert set(re.findall(r"<(/?\w+)", text)) <= {"details", "/details", "summary", "/summary"}
    assert not re.search(r"(?<!\\)[@#][A-Za-z0-9]", text.replace("&#", ""))
    assert "](" not in text
    assert "://" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_name_never_breaks_its_table() -> None:
    text = render_markdown(report(contrast(endpoints=(endpoint("a|b\n| c"),))))
    rows = [line for line in text.splitlines() if line.startswith("| spec |")]
    assert len(rows) == 1
    # Twelve columns, among them invalid and cut answers and what shows the endpoint able to fail.
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 13


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_any_name_stays_on_its_line(name: str) -> None:
    one = report(name=name)
    assert len(render_markdown(one).split("\n")) == USUAL_LINES


def large_report() -> Report:
    endpoints = tuple(endpoint(f"battery {n} {HOSTILE['markdown']}" * 4) for n in range(300))
    many = tuple(item(f"{n}" + "x" * 300, "p", "a", "b") for n in range(500))
    one = contrast("c" * 500, endpoints=endpoints)
    assert one.items is not None
    one = one.model_copy(update={"items": one.items.model_copy(update={"kept": many, "flipped": 500})})
    return report(*([one] * 60))


def test_it_stays_under_sixty_kilobytes_and_says_what_is_missing() -> None:
    text = render_markdown(large_report())
    assert len(text.encode()) < 60_000
    assert "report.html has them" in text
    assert text.count("<details>") == text.count("</details>")


def test_answers_are_never_in_it() -> None:
    assert "I cannot help" not in render_markdown(report())
    assert "pick a lock" not in render_markdown(report())
    assert "compliance" not in render_markdown(report(), redact=True)
