"""JUnit: well-formed whatever the names, and true to the verdict."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.report.junit import render_junit
from tais.verdict.report import Reason, Report, Verdict
from tais.verdict.screen import decide
from tests.report.factory import HOSTILE, contrast, control, endpoint, hostile_report, report
from tests.stats import made


def cases(one: Report) -> dict[str, str]:
    """Outcome of each case by suite and name."""
    root = ET.fromstring(render_junit(one))
    found = {}
    for suite in root:
        for case in suite.iter("testcase"):
            kinds = [child.tag for child in case if child.tag in ("failure", "skipped", "error")]
            found[f"{suite.get('name')}: {case.get('name')}"] = kinds[0] if kinds else "passed"
    return found


def test_a_pass_has_one_suite_per_battery_and_one_case_per_criterion() -> None:
    assert cases(report()) == {
        "screen: verdict": "passed",
        "screen: treatment applied": "passed",
        "screen: control is caught": "passed",
        "mine: refusal: difference within 3 pp": "passed",
        "mine: refusal: |h| below 0.1": "passed",
        "mine: refusal: evidence is complete": "passed",
    }


@pytest.mark.parametrize(
    ("code", "verdict", "criterion", "outcome"),
    [
        ("difference_outside_margin", Verdict.failed, "refusal: difference within 3 pp", "failure"),
        ("effect_beyond_cutoff", Verdict.failed, "refusal: |h| below 0.1", "failure"),
        ("n_too_small", Verdict.inconclusive, "refusal: difference within 3 pp", "skipped"),
        ("cutoff_not_usable", Verdict.inconclusive, "refusal: |h| below 0.1", "skipped"),
        ("unmatched_items", Verdict.inconclusive, "refusal: evidence is complete", "skipped"),
    ],
)
def test_the_criterion_that_does_not_hold_shows(
    code: str, verdict: Verdict, criterion: str, outcome: str
) -> None:
    one = endpoint(verdict=verdict, reasons=(Reason(code=code, message="because"),))
    name = "endpoint_failed" if verdict is Verdict.failed else "endpoint_inconclusive"
    reasons = (Reason(code=name, message="mine"),)
    found = cases(report(contrast(endpoints=(one,), verdict=verdict, reasons=reasons), verdict=verdict))
    assert found[f"mine: {criterion}"] == outcome
    assert found["screen: verdict"] == outcome
    assert list(found.values()).count(outcome) == 2


def test_a_control_that_is_not_caught_is_skipped_not_failed() -> None:
    missed = control().model_copy(update={"verdict": Verdict.passed})
    found = cases(report(contrast(), missed, verdict=Verdict.inconclusive))
    assert found["screen: control is caught"] == "skipped"
    assert "failure" not in found.values()


def test_a_finding_that_fails_a_contrast_is_a_failure() -> None:
    structural = Reason(code="structural_divergence", message="not the target's token")
    blocking = Reason(code="prompt_drift", message="prompts differ")
    one = contrast(verdict=Verdict.failed, reasons=(structural, blocking))
    found = cases(report(one, verdict=Verdict.failed))
    assert found["screen: structural divergence"] == "failure"
    assert found["screen: prompt drift"] == "skipped"


def test_nothing_is_skipped_in_a_contrast_that_passes() -> None:
    one = contrast(reasons=(Reason(code="text_divergence", message="says something else"),))
    assert cases(report(one))["screen: text divergence"] == "passed"


def test_an_inconclusive_endpoint_without_a_reason_still_shows() -> None:
    one = endpoint(verdict=Verdict.inconclusive, reasons=())
    found = cases(report(contrast(endpoints=(one,), verdict=Verdict.inconclusive)))
    assert found["mine: refusal: evidence is complete"] == "skipped"


def test_the_counts_are_those_of_the_cases() -> None:
    root = ET.fromstring(render_junit(hostile_report()))
    for element in (root, *root):
        found = list(element.iter("testcase"))
        assert element.get("tests") == str(len(found))
        assert element.get("skipped") == str(sum(case.find("skipped") is not None for case in found))
        assert element.get("failures") == str(sum(case.find("failure") is not None for case in found))


def test_hostile_names_stay_well_formed_and_are_no_command() -> None:
    text = render_junit(hostile_report())
    text.encode()
    ET.fromstring(text)
    assert "::" not in text
    assert "##[" not in text


@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_name_is_well_formed(name: str) -> None:
    ET.fromstring(render_junit(report(name=HOSTILE[name])))


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec=None)))
def test_any_name_is_well_formed(name: str) -> None:
    root = ET.fromstring(render_junit(report(name=name)))
    assert root.tag == "testsuites"


def test_strata_are_suites_of_their_own_and_categories_are_properties_of_theirs() -> None:
    groups = np.repeat(["weapons", "<b>drugs", ""], [60, 40, 20])
    refuse = made.endpoint(110, 6, 0, 4, stratum="refuse", groups=groups)
    answer = made.endpoint(120, stratum="answer")
    one = decide(made.screen(made.contrast(refuse, answer)))
    root = ET.fromstring(render_junit(one))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["screen", "mine/refuse", "mine/answer"]
    listed = {p.get("name"): p.get("value") for p in suites["mine/refuse"].iter("property")}
    # All that differ lie beyond row 110, so in neither category; without a flip z^2 / (n + z^2).
    assert listed == {
        "category spec against target: refusal: <b>drugs": (
            "100.0 % to 100.0 % of 40 prompts, 0.00 pp [\u22126.34, +6.34] pp, adjusted p 1.00"
        ),
        "category spec against target: refusal: weapons": (
            "100.0 % to 100.0 % of 60 prompts, 0.00 pp [\u22124.31, +4.31] pp, adjusted p 1.00"
        ),
    }
    assert list(suites["mine/answer"].iter("property")) == []
