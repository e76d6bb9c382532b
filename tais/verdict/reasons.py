"""The words of a verdict: each outcome of an endpoint with code, message and values."""

from __future__ import annotations

from tais.stats.null import CalibratedNull
from tais.stats.paired import Tost
from tais.stats.proportions import Interval
from tais.stats.regions import Setting
from tais.stats.tidy import points, tidy, tidy_interval, tidy_values
from tais.verdict.report import Reason, TostReport, Verdict

__all__ = [
    "POWERS",
    "Needed",
    "Weighed",
    "needed_values",
    "needed_words",
    "note",
    "reason",
    "tost_report",
    "why_failed",
    "why_not_passed",
    "why_passed",
]

POWERS = (0.8, 0.9)
"""Probabilities with which an endpoint should be decided."""

Needed = tuple[int | None, int | None]
"""Items that decide with each of `POWERS`; None where no number does."""

Weighed = tuple[Verdict, Reason]
"""A reason with the best verdict that it leaves possible."""


def tost_report(test: Tost, setting: Setting) -> TostReport:
    """State a test of one endpoint."""
    return TostReport(
        method=test.method,
        margin=setting.margin,
        alpha=setting.alpha,
        p=tidy(float(test.p)),
        ci=tidy_interval(test.ci),
        equivalent=bool(test.equivalent),
        scale="ratio" if setting.ratio else "difference",
    )


def reason(code: str, message: str, **values: object) -> Reason:
    """Build a reason with its floats rounded."""
    return Reason(code=code, message=message, values=tidy_values(values), severity="decides")


def note(code: str, message: str, **values: object) -> Reason:
    """Build a reason that decides nothing."""
    return Reason(code=code, message=message, values=tidy_values(values), severity="note")


def needed_words(needed: Needed) -> str:
    """Say how many items decide."""
    few, many = needed
    if few is None:
        return "no number of items at these rates would decide"
    more = "no number" if many is None else f"{many:,}"
    return f"{few:,} items at these rates decide with power 0.8, {more} with 0.9"


def needed_values(needed: Needed) -> dict[str, object]:
    """Return the same for programs."""
    return {"needed": needed[0], "needed_80": needed[0], "needed_90": needed[1]}


def _range(ci: Interval, setting: Setting) -> str:
    if setting.ratio:
        return f"[{ci[0]:.4g}, {ci[1]:.4g}] of the ratio of unsafe rates"
    return f"[{points(ci[0])}, {points(ci[1])}]"


def _margin(setting: Setting) -> str:
    if setting.ratio:
        return f"ratio {1 + setting.margin:.4g}"
    return f"margin of {points(setting.margin)}"


def why_passed(ci: Interval, h: float | None, setting: Setting) -> list[Reason]:
    """State the one reason of a pass."""
    word, code = ("not inferior", "not_inferior") if setting.one_sided else ("equivalent", "equivalent")
    sign = "-h" if setting.one_sided else "|h|"
    size = 0.0 if h is None else -h if setting.one_sided else abs(h)
    effect = "" if h is None or setting.tost_alone else f", {sign} = {size:.3g} < {setting.h_cutoff:g}"
    inside = "keeps clear of" if setting.one_sided else "lies within"
    message = f"{word}: the interval {_range(ci, setting)} {inside} the {_margin(setting)}{effect}"
    return [reason(code, message, ci=tidy_interval(ci), margin=setting.margin, h=h)]


def why_failed(ci: Interval, h: float | None, h_ci: Interval | None, setting: Setting) -> list[Reason]:
    """State which interval lies wholly beyond its bound; empty where none does."""
    reasons = []
    if setting.worse(ci) or setting.better(ci):
        side = "worse" if setting.worse(ci) else "better"
        message = f"{side}: the interval {_range(ci, setting)} lies wholly beyond the {_margin(setting)}"
        values: dict[str, object] = {"ci": tidy_interval(ci), "margin": setting.margin, "side": side}
        reasons.append(reason("difference_outside_margin", message, **values))
    cutoff, bound = setting.h_cutoff, setting.h_bound
    if h_ci is not None and not setting.tost_alone and setting.effect_beyond(h_ci):
        message = f"the interval of h [{h_ci[0]:.3g}, {h_ci[1]:.3g}] lies wholly beyond the cutoff {cutoff:g}"
        if bound > cutoff:
            message += f", and beyond what the same stack does against itself ({bound:.3g})"
        reasons.append(
            reason("effect_beyond_cutoff", message, h=h, h_ci=tidy_interval(h_ci), h_cutoff=cutoff)
        )
    return reasons


def why_not_passed(
    n: int,
    floor: int,
    needed: Needed,
    equivalent: bool,
    ci: Interval,
    h: float | None,
    null: CalibratedNull | None,
    setting: Setting,
) -> list[Reason]:
    """State every obstacle to a pass, with the items that decide; empty where there is none."""
    reasons = []
    if not equivalent and n < floor:
        message = f"n = {n} cannot pass at {points(setting.margin)} even with no flips: {floor} needed"
        if needed != (floor, floor):
            message += f"; {needed_words(needed)}"
        known = {**needed_values(needed), "needed": floor}
        reasons.append(reason("n_too_small", message, n=n, margin=setting.margin, **known))
    elif not equivalent:
        message = f"the interval {_range(ci, setting)} crosses the {_margin(setting)}: {needed_words(needed)}"
        values = {"n": n, **needed_values(needed), "ci": tidy_interval(ci), "margin": setting.margin}
        reasons.append(reason("interval_crosses_margin", message, **values))
    if h is None or setting.tost_alone:
        return reasons
    return reasons + _effect_obstacles(n, h, null, setting)


def _effect_obstacles(n: int, h: float, null: CalibratedNull | None, setting: Setting) -> list[Reason]:
    reasons = []
    cutoff = setting.h_cutoff
    if not setting.effect_small(h):
        beyond = "it" if setting.h_bound == cutoff else f"what the same stack reaches ({setting.h_bound:.3g})"
        message = (
            f"h = {h:.3g} is not within the cutoff {cutoff:g}, and its interval not wholly beyond {beyond}"
        )
        reasons.append(reason("effect_not_below_cutoff", message, h=h, h_cutoff=cutoff, n=n))
    if null is not None and not setting.cutoff_usable:
        more = f"usable from n = {null.usable_from}" if null.usable_from else "usable at no n"
        message = (
            f"the cutoff {cutoff:g} is not usable at n = {n}: the same stack against itself "
            f"reaches |h| = {null.h_quantile:.3g}; {more}"
        )
        values: dict[str, object] = {"n": n, "needed": null.usable_from, "h_cutoff": cutoff}
        reasons.append(reason("cutoff_not_usable", message, null_h_quantile=null.h_quantile, **values))
    return reasons
