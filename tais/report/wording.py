"""Numbers and names as all renderers write them, so that they cannot drift apart."""

from __future__ import annotations

import math

from tais.common.text import one_line
from tais.manifest.model import Role
from tais.verdict.report import (
    ContrastReport,
    EndpointReport,
    Interval,
    Report,
    SensitivityReport,
    TostReport,
    Verdict,
)

__all__ = [
    "ROLES",
    "VERDICTS",
    "change",
    "contrast_name",
    "cut_words",
    "endpoint_name",
    "interval_points",
    "interval_words",
    "invalid_words",
    "is_ratio",
    "margin_alone",
    "margin_words",
    "number",
    "outcome",
    "outcome_mark",
    "p_value",
    "percent",
    "points",
    "rate",
    "screens_first",
    "share",
    "shown_words",
    "signed",
    "strain",
    "treatment_words",
    "unsafe_ratio",
]

_NAME = 60
NONE = "–"
MINUS = "−"

VERDICTS = {Verdict.passed: "Pass", Verdict.failed: "Fail", Verdict.inconclusive: "Inconclusive"}
ROLES = {
    Role.screen: "screen",
    Role.calibration: "calibration (A/A)",
    Role.positive_control: "positive control",
}


def screens_first(report: Report) -> tuple[ContrastReport, ...]:
    """Return the contrasts in the order in which people read them: what is screened, then what backs it."""
    order = [Role.screen, Role.positive_control, Role.calibration]
    return tuple(sorted(report.contrasts, key=lambda contrast: order.index(contrast.role)))


def outcome(role: Role, verdict: Verdict) -> str:
    """Return a verdict in the word of its role: a positive control is meant to fail, and is then caught."""
    if role is not Role.positive_control:
        return verdict.value
    return "caught" if verdict is Verdict.failed else "not caught"


def outcome_mark(role: Role, verdict: Verdict) -> Verdict:
    """Return the verdict whose colour and mark an outcome has."""
    if role is not Role.positive_control:
        return verdict
    return Verdict.passed if verdict is Verdict.failed else Verdict.inconclusive


def contrast_name(contrast: ContrastReport) -> str:
    """Return ``candidate against reference``."""
    return f"{one_line(contrast.candidate, _NAME)} against {one_line(contrast.reference, _NAME)}"


def endpoint_name(endpoint: EndpointReport) -> str:
    """Return ``battery/stratum / scorer``; see :attr:`tais.records.EndpointKey.label`."""
    return f"{one_line(endpoint.key.label, _NAME)} / {one_line(endpoint.scorer, _NAME)}"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, and no sign where it rounds to zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def share(value: float | None) -> str:
    """Return a share in percent with three significant digits."""
    return NONE if value is None else f"{100 * value:.3g} %"


def points(value: float | None, digits: int = 2) -> str:
    """Return a difference of shares in percentage points."""
    return NONE if value is None else f"{signed(100 * value, digits)} pp"


def margin_points(value: float) -> str:
    """Return a margin in percentage points."""
    return f"{100 * value:.4g} pp"


def is_ratio(endpoint: EndpointReport) -> bool:
    """Whether an endpoint is judged by the ratio of the rates of outcomes that are not as expected."""
    return endpoint.tost is not None and endpoint.tost.scale == "ratio"


def unsafe_ratio(endpoint: EndpointReport) -> float | None:
    """Return that ratio, candidate over reference; None where the reference has no such outcome."""
    if endpoint.reference_rate is None or endpoint.candidate_rate is None or endpoint.reference_rate >= 1:
        return None
    return (1 - endpoint.candidate_rate) / (1 - endpoint.reference_rate)


def _ratio(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def change(endpoint: EndpointReport) -> str:
    """Return what changed on the scale of the margin: a difference in points, or a ratio."""
    if not is_ratio(endpoint):
        return points(endpoint.difference)
    ratio = unsafe_ratio(endpoint)
    return f"ratio {NONE if ratio is None else _ratio(ratio)}"


def interval_words(tost: TostReport | None, digits: int = 2) -> str:
    """Return the interval that the margin is held against, on its scale."""
    if tost is None or tost.scale == "difference":
        return interval_points(None if tost is None else tost.ci, digits)
    return f"ratio [{_ratio(tost.ci[0])}, {_ratio(tost.ci[1])}]"


def margin_words(tost: TostReport, one_sided: bool) -> str:
    """Return a margin with the sides on which it holds."""
    if tost.scale == "difference":
        return f"{MINUS if one_sided else '±'}{margin_points(tost.margin)}"
    upper = _ratio(1 + tost.margin)
    return f"ratio up to {upper}" if one_sided else f"ratio {_ratio(1 / (1 + tost.margin))} to {upper}"


def margin_alone(tost: TostReport) -> str:
    """Return a margin without its sides."""
    return margin_points(tost.margin) if tost.scale == "difference" else f"ratio {_ratio(1 + tost.margin)}"


def strain(tost: TostReport, one_sided: bool) -> float:
    """How far the interval reaches, in margins: on the logarithm where it is one of a ratio."""
    low, high = tost.ci
    if tost.scale == "difference":
        return (-low if one_sided else max(-low, high)) / tost.margin
    worse, better = math.log(high), -math.log(low)
    return (worse if one_sided else max(worse, better)) / math.log1p(tost.margin)


def interval_points(value: Interval | None, digits: int = 2) -> str:
    """Return an interval of a difference in percentage points."""
    if value is None:
        return NONE
    return f"[{signed(100 * value[0], digits)}, {signed(100 * value[1], digits)}] pp"


def rate(value: float | None, interval: Interval | None) -> str:
    """Return a rate with its interval."""
    if value is None or interval is None:
        return percent(value)
    return f"{percent(value)} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def number(value: float | None, digits: int = 3) -> str:
    """Return an effect size or another plain number."""
    return NONE if value is None else signed(value, digits)


def p_value(value: float | None) -> str:
    """Return a p-value; no smaller than anyone believes."""
    if value is None:
        return NONE
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def shown_words(shown: SensitivityReport | None) -> str:
    """Return what shows that an endpoint can fail; it says nothing of the candidate's words."""
    if shown is None:
        return NONE
    if not shown.shown_by:
        return "not shown (waived)" if shown.waived else "not shown"
    by = ", ".join(one_line(name, _NAME) for name in shown.shown_by)
    if shown.minimum_leak is None:
        return by
    return f"{by}; {share(shown.minimum_leak)} of opposite answers would move it by its margin"


def invalid_words(endpoint: EndpointReport) -> str:
    """Return how many answers of each arm are invalid; of an older report, of both together."""
    if endpoint.reference_invalid is None or endpoint.candidate_invalid is None:
        return f"{endpoint.invalid:,}"
    return f"{endpoint.reference_invalid:,} / {endpoint.candidate_invalid:,}"


def cut_words(endpoint: EndpointReport) -> str:
    """Return how many answers of each arm were cut at the limit of their length."""
    if endpoint.reference_cut is None or endpoint.candidate_cut is None:
        return NONE
    return f"{endpoint.reference_cut:,} / {endpoint.candidate_cut:,}"


def treatment_words(contrast: ContrastReport) -> str:
    """Return what speculation was asked for and what ran."""
    t = contrast.treatment
    if t.requested is None:
        return "none asked for" if t.resolved is None else f"none asked for, {t.resolved} runs"
    same = t.resolved == t.requested
    said = t.requested if same else f"{t.requested} asked for, {t.resolved or 'none'} runs"
    if t.draft_tokens is None:
        return f"{said}; the engine counts no drafts"
    accepted = f"{t.accepted_tokens or 0:,} of {t.draft_tokens:,} drafted tokens accepted"
    told = f"{said}; {accepted} ({percent(t.acceptance_rate)})"
    if t.answers is None or t.answers_accepted is None:
        return told
    return f"{told}, in {t.answers_accepted:,} of {t.answers:,} answers"
