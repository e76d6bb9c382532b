"""The report as JUnit XML, which every CI system shows.

One suite per battery and stratum, one case per criterion and contrast: a criterion that fails the screen is a
failure, one that leaves it undecided is skipped. The exit code decides, not the number of failures.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from tais.common.text import xml_text
from tais.manifest.model import Role
from tais.report.next_steps import next_steps
from tais.report.wording import (
    ROLES,
    change,
    contrast_name,
    cut_words,
    interval_points,
    interval_words,
    invalid_words,
    is_ratio,
    margin_alone,
    number,
    outcome,
    p_value,
    percent,
    points,
    shown_words,
    treatment_words,
)
from tais.verdict.details import listed
from tais.verdict.details.endpoint import Category
from tais.verdict.report import ContrastReport, EndpointReport, Reason, Report, SensitivityReport, Verdict

__all__ = ["render_junit"]

_MESSAGE = 500
_DIFFERENCE = {"difference_outside_margin", "interval_crosses_margin", "n_too_small", "suspect", "equivalent"}
_EFFECT = {"effect_beyond_cutoff", "effect_not_below_cutoff", "cutoff_not_usable"}
_REPEATED = {"endpoint_failed", "endpoint_inconclusive", "all_endpoints_pass", "treatment_not_applied"}
_SCREEN_SUITE = "screen"


@dataclass(frozen=True, slots=True)
class _Case:
    suite: str
    group: str
    name: str
    verdict: Verdict
    message: str
    detail: str = ""


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML; it holds no text of a prompt or an answer."""
    cases = list(_cases(report))
    suites = dict.fromkeys([_SCREEN_SUITE, *(case.suite for case in cases)])
    root = ET.Element(
        "testsuites", _counts(cases) | {"name": xml_text(report.name), "time": _seconds(report)}
    )
    for index, suite in enumerate(suites):
        own = [case for case in cases if case.suite == suite]
        attributes = {"name": xml_text(suite), "id": str(index), "time": "0"}
        element = ET.SubElement(root, "testsuite", attributes | _counts(own))
        _write_categories(element, report, suite)
        for case in own:
            _write(element, case)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", xml_declaration=False)
    # A CI log that shows this file must not obey it.
    text = text.replace("##[", "##&#91;").replace("::", ":&#58;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _counts(cases: list[_Case]) -> dict[str, str]:
    failed = sum(case.verdict is Verdict.failed for case in cases)
    skipped = sum(case.verdict is Verdict.inconclusive for case in cases)
    return {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}


def _seconds(report: Report) -> str:
    seconds = report.facts.run.seconds
    return "0" if seconds is None else f"{seconds:.3f}"


def _write(suite: ET.Element, case: _Case) -> None:
    attributes = {"classname": xml_text(case.group), "name": xml_text(case.name), "time": "0"}
    element = ET.SubElement(suite, "testcase", attributes)
    message = xml_text(case.message, _MESSAGE)
    if case.verdict is Verdict.failed:
        failure = ET.SubElement(element, "failure", {"message": message, "type": "not equivalent"})
        failure.text = xml_text(case.detail or case.message, _MESSAGE)
    elif case.verdict is Verdict.inconclusive:
        ET.SubElement(element, "skipped", {"message": f"inconclusive: {message}"})
    elif message:
        ET.SubElement(element, "system-out").text = message


def _write_categories(suite: ET.Element, report: Report, label: str) -> None:
    """Write the categories of a battery as properties: they decide nothing, so they are no cases."""
    found = [
        (f"{contrast_name(contrast)}: {endpoint.scorer}: {category.category}", category)
        for contrast in report.contrasts
        if contrast.role is Role.screen
        for endpoint in contrast.endpoints
        if endpoint.key.label == label
        for category in listed(endpoint, Category)
    ]
    if not found:
        return
    properties = ET.SubElement(suite, "properties")
    for name, category in found:
        value = (
            f"{percent(category.reference_rate)} to {percent(category.candidate_rate)} of {category.n} "
            f"prompts, {points(category.difference)} {interval_points(category.ci) if category.ci else ''}, "
            f"adjusted p {p_value(category.adjusted_p)}"
        )
        attributes = {"name": xml_text(f"category {name}", _MESSAGE), "value": xml_text(value, _MESSAGE)}
        ET.SubElement(properties, "property", attributes)


def _cases(report: Report) -> Iterator[_Case]:
    decided = "; ".join(r.message for r in report.reasons if r.severity == "decides")
    steps = "; ".join(step.line for step in next_steps(report))
    # What to do stands first: a message is cut where it grows long.
    said = f"what to do next: {steps}; why: {decided}" if steps else decided
    yield _Case(_SCREEN_SUITE, report.name, "verdict", report.verdict, said, decided)
    for contrast in report.contrasts:
        if contrast.role is Role.screen:
            yield from _screened(contrast)
        else:
            yield _backing(contrast)


def _backing(contrast: ContrastReport) -> _Case:
    """A calibration must pass and a control must fail; otherwise the screen is inconclusive, not failed."""
    wanted = Verdict.failed if contrast.role is Role.positive_control else Verdict.passed
    verdict = Verdict.passed if contrast.verdict is wanted else Verdict.inconclusive
    name = (
        "control is caught" if contrast.role is Role.positive_control else "the stack passes against itself"
    )
    message = f"{ROLES[contrast.role]}: {outcome(contrast.role, contrast.verdict)}"
    return _Case(_SCREEN_SUITE, contrast_name(contrast), name, verdict, message)


def _screened(contrast: ContrastReport) -> Iterator[_Case]:
    group = contrast_name(contrast)
    if contrast.treatment.requested is not None:
        applied = Verdict.passed if contrast.treatment.applied else Verdict.inconclusive
        yield _Case(_SCREEN_SUITE, group, "treatment applied", applied, treatment_words(contrast))
    for reason, verdict in _own_reasons(contrast):
        yield _Case(_SCREEN_SUITE, group, reason.code.replace("_", " "), verdict, reason.message)
    for endpoint in contrast.endpoints:
        yield from _criteria(group, endpoint)


def _own_reasons(contrast: ContrastReport) -> Iterator[tuple[Reason, Verdict]]:
    """Yield the reasons of the contrast itself, not those that repeat its endpoints or its treatment.

    What fails a contrast stands first among its reasons: all that stand before a failed endpoint failed
    it, and without one at least the first did. In a contrast that passes none is held against it.
    """
    deciding = [r for r in contrast.reasons if r.severity == "decides"]
    failed = [index for index, r in enumerate(deciding) if r.code == "endpoint_failed"]
    last = max(failed, default=0) if contrast.verdict is Verdict.failed else -1
    for index, reason in enumerate(deciding):
        if reason.code not in _REPEATED:
            beyond = Verdict.passed if contrast.verdict is Verdict.passed else Verdict.inconclusive
            yield reason, Verdict.failed if index <= last else beyond


def _criteria(group: str, endpoint: EndpointReport) -> Iterator[_Case]:
    deciding = [r for r in endpoint.reasons if r.severity == "decides"]
    rest = [r for r in deciding if r.code not in _DIFFERENCE | _EFFECT]
    margin = margin_alone(endpoint.tost) if endpoint.tost else "its margin"
    what = "ratio" if is_ratio(endpoint) else "difference"
    parts = [
        (
            f"{what} within {margin.removeprefix('ratio ')}",
            [r for r in deciding if r.code in _DIFFERENCE],
            _difference(endpoint),
        ),
        (f"|h| below {endpoint.h_cutoff:g}", [r for r in deciding if r.code in _EFFECT], _effect(endpoint)),
        ("evidence is complete", rest, _evidence(endpoint)),
    ]
    if endpoint.cohens_h is None:
        parts.pop(1)
    if endpoint.sensitivity is not None:
        yield _shown(group, endpoint, endpoint.sensitivity)
    for name, reasons, said in parts:
        # A verdict that no reason explains still shows.
        unexplained = not deciding and name == "evidence is complete"
        against = unexplained or any(r.code != "equivalent" for r in reasons)
        verdict = endpoint.verdict if against else Verdict.passed
        message = "; ".join(r.message for r in reasons) or said
        yield _Case(endpoint.key.label, group, f"{endpoint.scorer}: {name}", verdict, message, said)


def _shown(group: str, endpoint: EndpointReport, shown: SensitivityReport) -> _Case:
    """An endpoint that nothing shows able to fail leaves the screen undecided, unless that is waived."""
    verdict = Verdict.passed if shown.shown_by or shown.waived else Verdict.inconclusive
    name = f"{endpoint.scorer}: shown able to fail"
    return _Case(endpoint.key.label, group, name, verdict, shown_words(shown))


def _evidence(endpoint: EndpointReport) -> str:
    said = f"{endpoint.clusters} prompts, {endpoint.invalid} invalid"
    if endpoint.reference_cut is None and endpoint.candidate_cut is None:
        return said
    return f"{said} ({invalid_words(endpoint)}), cut off at the limit of their length {cut_words(endpoint)}"


def _difference(endpoint: EndpointReport) -> str:
    interval = interval_words(endpoint.tost) if endpoint.tost else "no interval"
    return f"{change(endpoint)} {interval}"


def _effect(endpoint: EndpointReport) -> str:
    null = (
        "not calibrated" if endpoint.null_h_quantile is None else f"null {number(endpoint.null_h_quantile)}"
    )
    return f"h {number(endpoint.cohens_h)}, {null}"
