"""What a verdict says, and what it does not: sentences from the report itself."""

from __future__ import annotations

from tais.common.text import one_line
from tais.manifest.model import Hypothesis, Role
from tais.report.wording import contrast_name, is_ratio, margin_alone, margin_points, percent, share
from tais.verdict.details import listed
from tais.verdict.details.contrast import ShownSensitivity
from tais.verdict.report import ContrastReport, Report, Verdict

__all__ = ["says", "says_not"]


def says(report: Report) -> list[str]:
    """Return what follows from the report."""
    screens = [c for c in report.contrasts if c.role is Role.screen]
    lines = [_verdict(report)]
    for contrast in screens:
        if contrast.identity.rate is not None:
            identity = contrast.identity
            counted = f"{identity.identical:,} of {identity.n:,} answers ({percent(identity.rate, 2)})"
            lines.append(f"{contrast_name(contrast)}: {counted} are identical.")
        if contrast.treatment.applied:
            lines.append(_treatment(contrast))
    lines += [_control(c) for c in report.contrasts if c.role is Role.positive_control]
    return lines


def _verdict(report: Report) -> str:
    rules = report.rules
    confidence = f"{100 * (1 - rules.alpha):g} %"
    margin = _margins(report)
    one_sided = rules.hypothesis is Hypothesis.non_inferiority
    if report.verdict is Verdict.passed:
        change = _within(report, "falls by less" if one_sided else "changes by less", one_sided)
        return (
            f"With {confidence} confidence for each endpoint, {change} than the margin ({margin}) when the "
            "candidate takes the place of the reference, on these prompts."
        )
    if report.verdict is Verdict.failed:
        return (
            f"At least one endpoint changes by more than the rules allow (margin {margin}, effect size "
            f"{rules.h_cutoff:g}) with {confidence} confidence, or a claim of identical tokens does not hold."
        )
    if not any(c.role is Role.screen for c in report.contrasts):
        return "Nothing was screened: the answers of the arms are kept for a comparison (tais compare)."
    return "The evidence neither shows equivalence nor a change: the reasons say what would decide it."


def _within(report: Report, less: str, one_sided: bool) -> str:
    """Say what keeps within the margin, on the scale of each endpoint."""
    scales = {is_ratio(e) for c in report.contrasts for e in c.endpoints}
    growth = "grows" if one_sided else "changes"
    ratio = f"the share of outcomes that are not as expected {growth} by a smaller factor"
    difference = f"the share of expected outcomes {less}"
    if scales == {True}:
        return ratio
    return f"{difference} (or {ratio})" if True in scales else difference


def _margins(report: Report) -> str:
    """Say the least and the largest margin of either scale."""
    found = sorted(
        (e.tost for c in report.contrasts for e in c.endpoints if e.tost), key=lambda t: (t.scale, t.margin)
    )
    scales = [[t for t in found if t.scale == scale] for scale in ("difference", "ratio")]
    ends = [dict.fromkeys(margin_alone(t) for t in (own[0], own[-1])) for own in scales if own]
    return " and ".join(" to ".join(end) for end in ends) or margin_points(report.rules.margin)


def _treatment(contrast: ContrastReport) -> str:
    treatment = contrast.treatment
    counted = f"{treatment.accepted_tokens or 0:,} of {treatment.draft_tokens or 0:,}"
    return f"{one_line(contrast.candidate, 60)} did speculate: {counted} drafted tokens were accepted."


def _control(contrast: ContrastReport) -> str:
    caught = (
        "was caught" if contrast.verdict is Verdict.failed else f"was not caught ({contrast.verdict.value})"
    )
    return f"The positive control {contrast_name(contrast)} {caught}."


def says_not(report: Report) -> list[str]:
    """Return what nobody may conclude from the report."""
    screens = [c for c in report.contrasts if c.role is Role.screen]
    lines = [
        "That either arm is safe: arms are compared with each other, and both may be unsafe alike.",
        "Anything about prompts unlike those of the batteries, or a change that waits for a rare trigger.",
        "Anything about other hardware, engine versions, sampling settings or batch shapes than these.",
        "That the scorers judge well: one that errs alike in both arms sees only part of a difference "
        "(sensitivity + specificity - 1 of it), so a true one larger than the margin may pass"
        + _assumed(screens),
    ]
    if report.verdict is Verdict.passed:
        lines.append(
            "That outputs are identical: that is counted beside the verdict, and decides nothing by itself."
        )
    if report.adjudication is not None:
        lines.append("That people decided it: their labels stand beside the verdict and never change it.")
    lines += _reading(screens)
    lines += _sensitivity(screens)
    if not any(c.role is Role.calibration and c.one_evidence is None for c in report.contrasts):
        lines.append("How much the same stack differs from itself: no calibration contrast was run.")
    if any(c.evidence != "matched" for c in report.contrasts):
        lines.append("What a candidate would have generated where the evidence is teacher-forced.")
    return lines


def _assumed(screens: list[ContrastReport]) -> str:
    """Say down to which sensitivity + specificity - 1 every pass holds, where none is stated."""
    found = [
        value
        for c in screens
        for e in c.endpoints
        for r in e.reasons
        if r.code == "pass_assumes_youden" and isinstance(value := r.values.get("youden"), int | float)
    ]
    return f"; where it is above {max(found):.2g}, every pass here holds." if found else "."


def _reading(screens: list[ContrastReport]) -> list[str]:
    shown = [e.sensitivity for c in screens for e in c.endpoints if e.sensitivity is not None]
    lines = []
    if any("exchange" in s.shown_by for s in shown):
        lines.append(
            "That the scorers read every word of the candidate: the exchange of the reference's own answers "
            "shows that they read the reference."
        )
    if any(s.waived for s in shown):
        lines.append("Anything about the endpoints that the rules waive: nothing shows that they could fail.")
    return lines


def _sensitivity(screens: list[ContrastReport]) -> list[str]:
    found = [s for c in screens for s in listed(c, ShownSensitivity)]
    if not found:
        return ["That a leak would have been seen: no positive control was run."]
    lines = []
    for control, shown in {str(s.control): s for s in found}.items():
        if shown.not_pass is not None:
            small = f"{share(shown.not_pass)} of {one_line(control, 60)}"
            lines.append(f"That a leak of less than {small} is absent.")
    return lines or ["That a leak of the positive control would always have been seen."]
