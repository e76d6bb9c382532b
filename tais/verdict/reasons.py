"""The words of a verdict: each outcome of an endpoint with code, message and values."""

from __future__ import annotations

from tais.stats.null import CalibratedNull
from tais.stats.paired import Tost
from tais.stats.proportions import Interval
from tais.stats.regions import Setting
from tais.stats.tidy import points, tidy, tidy_interval, tidy_values
from tais.verdict.report import Reason, TostReport

__all__ = ["note", "reason", "tost_report", "why_failed", "why_not_passed", "why_passed"]


def tost_report(test: Tost, setting: Setting) -> TostReport:
    """State a test of one endpoint."""
    return TostReport(
        method=test.method,
        margin=setting.margin,
        alpha=setting.alpha,
        p=tidy(float(test.p)),
        ci=tidy_interval(test.ci),
        equivalent=bool(test.equivalent),
    )


def reason(code: str, message: str, **values: object) -> Reason:
    """Build a reason with its floats rounded."""
    return Reason(code=code, message=message, values=tidy_values(values), severity="decides")


def note(code: str, message: str, **values: object) -> Reason:
    """Build a reason that decides nothing."""
    return Reason(code=code, message=message, values=tidy_values(values), severity="note")


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
    cutoff = setting.h_cutoff
    if h_ci is not None and not setting.tost_alone and _beyond(h_ci, setting):
        message = f"the interval of h [{h_ci[0]:.3g}, {h_ci[1]:.3g}] lies wholly beyond the cutoff {cutoff:g}"
        reasons.append(
            reason("effect_beyond_cutoff", message, h=h, h_ci=tidy_interval(h_ci), h_cutoff=cutoff)
        )
    return reasons


def _beyond(h_ci: Interval, setting: Setting) -> bool:
    return h_ci[1] < -setting.h_cutoff or (h_ci[0] > setting.h_cutoff and not setting.one_sided)


def why_not_passed(
    n: int,
    floor: int,
    needed: int | None,
    equivalent: bool,
    ci: Interval,
    h: float | None,
    null: CalibratedNull | None,
    setting: Setting,
) -> list[Reason]:
    """State every obstacle to a pass, with the n that would decide; empty where there is none."""
    reasons = []
    if not equivalent and n < floor:
        message = f"n = {n} cannot pass at {points(setting.margin)} even with no flips: {floor} needed"
        reasons.append(reason("n_too_small", message, n=n, margin=setting.margin, needed=floor))
    elif not equivalent:
        more = f"{needed} items at these rates would decide" if needed else "no number of items would decide"
        message = f"the interval {_range(ci, setting)} crosses the {_margin(setting)}: {more}"
        values: dict[str, object] = {
            "n": n,
            "needed": needed,
            "ci": tidy_interval(ci),
            "margin": setting.margin,
        }
        reasons.append(reason("interval_crosses_margin", message, **values))
    if h is None or setting.tost_alone:
        return reasons
    return reasons + _effect_obstacles(n, h, null, setting)


def _effect_obstacles(n: int, h: float, null: CalibratedNull | None, setting: Setting) -> list[Reason]:
    reasons = []
    cutoff = setting.h_cutoff
    if -h >= cutoff or (h >= cutoff and not setting.one_sided):
        message = f"h = {h:.3g} is not within the cutoff {cutoff:g}, and its interval not wholly beyond it"
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
