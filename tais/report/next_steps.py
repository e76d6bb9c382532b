"""What to do next, from the reason codes of a report that is no pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tais.common.text import one_line
from tais.manifest.model import Role
from tais.report.wording import contrast_name, endpoint_name
from tais.verdict.codes import CODES
from tais.verdict.report import ContrastReport, Reason, Report, Verdict

__all__ = ["Step", "next_steps"]

_CONTROL_CODES = {
    "control_not_caught",
    "endpoint_not_shown_sensitive",
    "no_opposite_behaviour",
    "control_not_worse",
    "control_says_nothing",
}
_MOST_PLACES = 3
_RANK = {"fails": 0, "blocks": 1}


class Step(NamedTuple):
    """One thing to do."""

    code: str
    where: str
    """Contrasts or endpoints that ask for it; empty where the whole screen does."""
    do: str

    @property
    def line(self) -> str:
        """The step as one line."""
        return f"{self.do} ({self.where})" if self.where else self.do


def next_steps(report: Report) -> list[Step]:
    """Return what to do about a verdict that is no pass: what fails first, each remedy once.

    A code that only points to another reason, or decides nothing, asks for nothing.
    """
    if report.verdict is Verdict.passed:
        return []
    found: dict[str, tuple[Reason, list[str]]] = {}
    for where, reason in _deciding(report):
        do = _remedy(report, reason)
        if do:
            places = found.setdefault(do, (reason, []))[1]
            if where and where not in places:
                places.append(where)
    steps = [Step(reason.code, _places(places), do) for do, (reason, places) in found.items()]
    return sorted(steps, key=lambda step: _RANK[CODES[step.code].says])


def _deciding(report: Report) -> Iterator[tuple[str, Reason]]:
    """Yield the reasons that stand in the way of a pass, with what says them."""
    for contrast in report.contrasts:
        if not _counts(contrast):
            continue
        for reason in contrast.reasons:
            if _asks(reason):
                yield contrast_name(contrast), reason
        for endpoint in contrast.endpoints:
            for reason in endpoint.reasons if endpoint.verdict is not Verdict.passed else ():
                if _asks(reason):
                    yield f"{endpoint_name(endpoint)}, {one_line(contrast.candidate, 60)}", reason
    for reason in report.reasons:
        if _asks(reason):
            yield "", reason


def _counts(contrast: ContrastReport) -> bool:
    """Whether a contrast holds up the screen by itself; a control that is caught does what it is for."""
    return contrast.role is not Role.positive_control and contrast.verdict is not Verdict.passed


def _asks(reason: Reason) -> bool:
    known = CODES.get(reason.code)
    return reason.severity == "decides" and known is not None and known.says in _RANK


def _remedy(report: Report, reason: Reason) -> str:
    few, many = reason.values.get("needed_80"), reason.values.get("needed_90")
    if isinstance(few, int):
        power = f"{many:,} with 0.9" if isinstance(many, int) else "no number with 0.9"
        return (
            f"Ask {few:,} distinct prompts (power 0.8; {power}), or name a wider margin before the next run"
        )
    if isinstance(least := reason.values.get("needed"), int):
        return f"Ask at least {least:,} distinct prompts, or name a wider margin before the next run"
    said = CODES[reason.code].remedy
    return f"{said}. {_control(report)}" if reason.code in _CONTROL_CODES else said


def _control(report: Report) -> str:
    """Write the control to add: the draft by itself, where a screened arm has one."""
    for contrast in report.contrasts:
        arm = report.facts.arms.get(contrast.candidate)
        draft = (arm.speculation or {}).get("model") if arm else None
        if contrast.role is Role.screen and isinstance(draft, str):
            reference = one_line(contrast.reference, 60)
            return (
                f"The arm draft_alone: {{extends: {reference}, model: {one_line(draft, 120)}}} and the "
                f"contrast {{reference: {reference}, candidate: draft_alone, role: positive_control}} do it"
            )
    return "A weaker or tuned model as an arm, in a contrast with role: positive_control, makes one"


def _places(places: list[str]) -> str:
    more = len(places) - _MOST_PLACES
    return "; ".join(places[:_MOST_PLACES]) + (f"; {more} more" if more > 0 else "")
