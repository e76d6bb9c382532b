"""Figures of rows: paired differences, effect sizes, identity, rates and timing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tais.common.text import one_line
from tais.manifest.model import Hypothesis, Role
from tais.report.figures.canvas import MARKS, MOST_ROWS, SERIES, Drawn, Row, draw_rows, label_of, row_canvas
from tais.report.figures.svg import COLOURS
from tais.report.wording import (
    change,
    interval_words,
    is_ratio,
    number,
    percent,
    screens_first,
    signed,
    unsafe_ratio,
)
from tais.stats.proportions import wilson
from tais.verdict.details import detail
from tais.verdict.details.endpoint import Null
from tais.verdict.facts import Timing
from tais.verdict.report import ContrastReport, EndpointReport, Interval, Report, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effect", "forest", "identity", "rates", "timing"]

_Place = tuple[ContrastReport, EndpointReport]


def _grouped(places: list[_Place], values: list[str]) -> tuple[list[Row], list[_Place | None]]:
    """Put a header over the rows of each contrast."""
    rows: list[Row] = []
    marks: list[_Place | None] = []
    before: ContrastReport | None = None
    for (contrast, endpoint), value in zip(places, values, strict=True):
        if contrast is not before:
            rows.append(Row(label_of(contrast), header=True))
            marks.append(None)
            before = contrast
        rows.append(Row(label_of(contrast, endpoint, 34), value))
        marks.append((contrast, endpoint))
    return rows, marks


def _left_out(places: list[_Place]) -> str:
    more = len(places) - MOST_ROWS
    return f" {more} more rows stand in the table only." if more > 0 else ""


def _line(
    axes: Axes,
    bounds: Interval,
    middle: float,
    y: float,
    endpoint: EndpointReport,
    reach: float,
    *,
    decides: bool = True,
) -> None:
    """Draw interval and estimate; an arrow-head stands for what lies beyond the axis.

    An interval that does not decide has no colour of a verdict: it may reach beyond a bound in a pass.
    """
    colour = COLOURS[endpoint.verdict.value]
    line = colour if decides else COLOURS["muted"]
    low, high = (max(-reach, min(reach, bound)) for bound in bounds)
    axes.plot([low, high], [y, y], color=line, linewidth=2, solid_capstyle="butt")
    for mark, edge, beyond in (("<", -reach, bounds[0] < -reach), (">", reach, bounds[1] > reach)):
        if beyond:
            axes.plot([edge], [y], marker=mark, color=colour, markersize=6, clip_on=False)
    if abs(middle) <= reach:
        axes.plot([middle], [y], marker=MARKS[endpoint.verdict], color=colour, markersize=7)


def _placed(endpoint: EndpointReport) -> tuple[Interval, Interval, float]:
    """Interval, margin and estimate on the axis of their scale: of a ratio, the logarithm to base 2."""
    tost = endpoint.tost
    assert tost is not None
    assert endpoint.difference is not None
    if tost.scale == "difference":
        return tost.ci, (-tost.margin, tost.margin), endpoint.difference
    ratio = unsafe_ratio(endpoint)
    margin = math.log2(1 + tost.margin)
    # Without such an outcome in either arm the ratio is open: its interval says all.
    middle = math.log2(ratio) if ratio else math.inf
    return (math.log2(tost.ci[0]), math.log2(tost.ci[1])), (-margin, margin), middle


def _forest_reach(places: list[_Place]) -> float:
    """How far the axis goes: a control far outside must not squeeze what the verdict reads into one point."""
    widest = max(_placed(e)[1][1] for _, e in places)
    near = [abs(b) for c, e in places if c.role is not Role.positive_control for b in _placed(e)[0]]
    return 1.1 * max(1.5 * widest, min(max(near, default=0.0), 5 * widest))


def forest(report: Report) -> Iterator[Drawn]:
    """Draw what changed with its interval and margin: differences, and ratios apart from them."""
    places = [
        (c, e) for c in screens_first(report) for e in c.endpoints if e.tost and e.difference is not None
    ]
    for ratio in (False, True):
        own = [place for place in places if is_ratio(place[1]) is ratio]
        if own:
            yield _forest(report, own, ratio)


def _forest(report: Report, places: list[_Place], ratio: bool) -> Drawn:
    shown = places[:MOST_ROWS]
    reach = _forest_reach(shown)
    values = [f"{change(e)} {_bare_interval(e)}" for _, e in shown]
    rows, marks = _grouped(shown, values)
    figure, axes, heights = row_canvas(rows)
    one_sided = report.rules.hypothesis is Hypothesis.non_inferiority
    for y, place in zip(heights, marks, strict=True):
        if place is None:
            continue
        interval, (left, right), middle = _placed(place[1])
        if one_sided:
            # Fewer expected outcomes lie to the left, more of the others to the right.
            left, right = (-reach, right) if ratio else (left, reach)
        axes.fill_between([left, right], y - 0.085, y + 0.085, color=COLOURS["band"], alpha=0.35, linewidth=0)
        _line(axes, interval, middle, y, place[1], reach)
    axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
    axes.set_xlim(-reach, reach)
    if ratio:
        axes.xaxis.set_major_formatter(lambda x, _: f"{2**x:.3g}")
        axes.set_xlabel("candidate / reference, rates of outcomes that are not as expected")
    else:
        axes.xaxis.set_major_formatter(lambda x, _: signed(100 * x, 3).rstrip("0").rstrip(".") or "0")
        axes.set_xlabel("candidate − reference, percentage points")
    draw_rows(axes, rows, heights)
    words = "; ".join(
        f"{label_of(c, e)}: {v}, {e.verdict.value}" for (c, e), v in zip(shown[:8], values, strict=False)
    )
    return Drawn(
        figure,
        "Ratios of unexpected outcomes" if ratio else "Paired differences",
        f"Interval ({100 - 200 * report.rules.alpha:g} %) and estimate per endpoint. To pass, an interval "
        "must lie wholly within its grey margin. Circle: pass; cross: fail, which a control is meant to; "
        f"diamond: inconclusive; arrow-head: beyond the axis.{_left_out(places)}",
        words,
        "" if ratio else _flat(shown, lambda e: e.difference, "no difference between any pair of arms"),
    )


def _flat(places: list[_Place], value: Callable[[EndpointReport], float | None], said: str) -> str:
    """Return what a figure says that has nothing to show: all its rows but those of controls are zero."""
    rows = [value(e) for c, e in places if c.role is not Role.positive_control]
    return said if len(rows) > 1 and not any(rows) else ""


def _bare_interval(endpoint: EndpointReport) -> str:
    return interval_words(endpoint.tost).removesuffix(" pp").removeprefix("ratio ")


def effect(report: Report) -> Iterator[Drawn]:
    """Draw |h| against its null distribution and the cutoff."""
    places = [
        (c, e)
        for c in screens_first(report)
        for e in c.endpoints
        if e.cohens_h is not None and c.role is not Role.calibration
    ]
    if not places:
        return
    shown = places[:MOST_ROWS]
    cutoff = max(e.h_cutoff for _, e in shown)
    near = [abs(e.cohens_h or 0) for c, e in shown if c.role is Role.screen]
    reach = max(2 * cutoff, 1.2 * min(max(near, default=0.0), 6 * cutoff))
    values = [f"|h| = {abs(e.cohens_h or 0):.3f}" for _, e in shown]
    rows, marks = _grouped(shown, values)
    figure, axes, heights = row_canvas(rows)
    for y, place in zip(heights, marks, strict=True):
        if place is None:
            continue
        endpoint = place[1]
        _null(axes, endpoint, y, reach)
        axes.plot([endpoint.h_cutoff] * 2, [y - 0.11, y + 0.11], color=COLOURS["ink"], linewidth=1.6)
        size = abs(endpoint.cohens_h or 0)
        # A pass reads the estimate alone; only a fail reads the interval.
        fails = endpoint.verdict is Verdict.failed
        _line(axes, _absolute(endpoint), size, y, endpoint, reach, decides=fails)
    axes.set_xlim(-0.02 * reach, 1.01 * reach)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.3g}")
    axes.set_xlabel("|h|, Cohen's effect size of two rates")
    draw_rows(axes, rows, heights)
    words = "; ".join(f"{label_of(c, e)}: {_effect_words(e)}" for c, e in shown[:8])
    yield Drawn(
        figure,
        "Effect size against the null",
        "Grey: what the same stack does against itself at this n (darkest half of the time, lightest up to "
        f"the {100 * report.rules.null_quantile:g} % quantile; dotted, the quantile if its noise is as "
        f"large as the A/A allows). Upright bar: the cutoff, below which the estimate must lie for a pass; "
        f"the thin line is its interval.{_left_out(places)}",
        words,
        _flat(shown, lambda e: e.cohens_h, "no effect in any screened endpoint"),
    )


def _effect_words(e: EndpointReport) -> str:
    null = "not measured" if e.null_h_quantile is None else number(e.null_h_quantile)
    return f"{number(abs(e.cohens_h or 0))}, cutoff {e.h_cutoff:g}, null quantile {null}"


def _absolute(endpoint: EndpointReport) -> Interval:
    """Interval of |h|."""
    low, high = endpoint.cohens_h_ci or (endpoint.cohens_h or 0.0,) * 2
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))


def _null(axes: Axes, endpoint: EndpointReport, y: float, reach: float) -> None:
    """Shade nested quantiles of the null distribution of |h|, as far as the report knows it."""
    if endpoint.null_h_quantile is None:
        return
    for value, alpha in ((endpoint.null_h_quantile, 0.25), *((v, 0.35) for v in _inner(endpoint))):
        right = min(reach, max(value, 0.004 * reach))
        axes.fill_between([0, right], y - 0.085, y + 0.085, color=COLOURS["band"], alpha=alpha, linewidth=0)
    if endpoint.null_h_quantile_upper is not None and endpoint.null_h_quantile_upper <= reach:
        upper = [endpoint.null_h_quantile_upper] * 2
        axes.plot(upper, [y - 0.085, y + 0.085], color=COLOURS["muted"], linewidth=1.4, linestyle=":")


def _inner(endpoint: EndpointReport) -> list[float]:
    """Quantiles of the null distribution below the one that the verdict reads, as far as they are known."""
    null = detail(endpoint, Null)
    if null is None or endpoint.null_h_quantile is None:
        return []
    return [quantile for quantile in null.h_quantiles.values() if quantile < endpoint.null_h_quantile]


def identity(report: Report) -> Iterator[Drawn]:
    """Draw the share of identical answers per battery."""
    rows: list[Row] = []
    marks: list[tuple[float, float, float, float] | None] = []
    for contrast in screens_first(report):
        counted = [b for b in contrast.identity.batteries if b.n][: max(0, MOST_ROWS - len(rows))]
        if counted:
            rows.append(Row(label_of(contrast), header=True))
            marks.append(None)
        for b in counted:
            low, high = (float(x) for x in wilson(b.identical, b.n))
            rows.append(
                Row(one_line(b.battery, 34), f"{b.identical:,} of {b.n:,} ({percent(b.identical / b.n)})")
            )
            marks.append((b.identical / b.n, low, high, b.identical_text / b.n))
    if not rows:
        return
    figure, axes, heights = row_canvas(rows)
    for y, mark in zip(heights, marks, strict=True):
        if mark is not None:
            axes.plot([mark[1], mark[2]], [y, y], color=SERIES[0], linewidth=2, solid_capstyle="butt")
            axes.plot([mark[0]], [y], marker="o", color=SERIES[0], markersize=7)
            axes.plot([mark[3]], [y], marker="|", color=SERIES[1], markersize=12, markeredgewidth=2)
    axes.set_xlim(min(0.9, *(m[1] - 0.02 for m in marks if m)), 1.005)
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.4g}")
    axes.set_xlabel("identical answers, per cent")
    draw_rows(axes, rows, heights)
    yield Drawn(
        figure,
        "Identical answers",
        "Circle: the same tokens, with its 95 % Wilson interval; bar: the same text. Identity decides "
        "nothing by itself; it shows how far the change reaches.",
        "; ".join(f"{row.label}: {row.value}" for row in rows[:12] if row.value),
        _all_identical(report),
    )


def _all_identical(report: Report) -> str:
    counted = [c.identity for c in report.contrasts if c.role is not Role.positive_control and c.identity.n]
    same = len(counted) > 1 and all(found.identical == found.n for found in counted)
    return "every answer is identical, but for those of controls" if same else ""


def rates(report: Report) -> Iterator[Drawn]:
    """Draw every arm's rate of expected outcomes with its Wilson interval."""
    found: dict[str, dict[str, tuple[float, Interval]]] = {}
    for contrast in screens_first(report):
        for e in contrast.endpoints:
            arms = found.setdefault(label_of(contrast, e), {})
            sides = ((contrast.reference, e.reference_rate, e.reference_wilson),)
            for arm, value, interval in (*sides, (contrast.candidate, e.candidate_rate, e.candidate_wilson)):
                if value is not None and interval is not None:
                    arms.setdefault(arm, (value, interval))
    rows: list[Row] = []
    marks: list[tuple[float, Interval] | None] = []
    for endpoint, arms in found.items():
        if arms and len(rows) + len(arms) < MOST_ROWS:
            rows.append(Row(endpoint, header=True))
            marks.append(None)
        for arm, (value, interval) in list(arms.items())[: max(0, MOST_ROWS - len(rows))]:
            rows.append(
                Row(one_line(arm, 34), f"{percent(value)} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]")
            )
            marks.append((value, interval))
    if not rows:
        return
    figure, axes, heights = row_canvas(rows)
    for y, mark in zip(heights, marks, strict=True):
        if mark is not None:
            axes.plot(mark[1], [y, y], color=SERIES[0], linewidth=2, solid_capstyle="butt")
            axes.plot([mark[0]], [y], marker="o", color=SERIES[0], markersize=7)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.3g}")
    axes.set_xlabel("outcomes as expected, per cent")
    draw_rows(axes, rows, heights)
    yield Drawn(
        figure,
        "Rates per arm",
        "Share of expected outcomes (safe, correct) with its 95 % Wilson interval. Arms answer the same "
        "prompts, so overlap of these intervals is no test: the paired differences are.",
        "; ".join(f"{row.label}: {row.value}" for row in rows[:12] if row.value),
    )


def _generating(report: Report, arm: str) -> str:
    """How long the arm generated in all, where the run took the time."""
    seconds = report.facts.run.phases.get(arm, {}).get("generate")
    return "" if seconds is None else f"; all in {seconds:.3g} s"


def _times(timing: Timing | None) -> tuple[float, float, float] | None:
    """Return the 10 %, 50 % and 90 % quantile; None where the engine tells no times."""
    if timing is None or timing.median is None or timing.p90 is None:
        return None
    return timing.median if timing.p10 is None else timing.p10, timing.median, timing.p90


def timing(report: Report) -> Iterator[Drawn]:
    """Draw how long answers took, per arm."""
    known = {name: times for name, arm in report.facts.arms.items() if (times := _times(arm.timing))}
    if not known:
        return
    rows = [
        Row(one_line(name, 30), f"{median:.3g} s (90 %: {high:.3g} s){_generating(report, name)}")
        for name, (_, median, high) in known.items()
    ]
    figure, axes, heights = row_canvas(rows[:MOST_ROWS])
    for y, (low, median, high) in zip(heights, known.values(), strict=False):
        axes.plot([low, high], [y, y], color=SERIES[0], linewidth=2, solid_capstyle="butt")
        axes.plot([median], [y], marker="o", color=SERIES[0], markersize=7)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds from request to answer")
    draw_rows(axes, rows[:MOST_ROWS], heights)
    yield Drawn(
        figure,
        "Time per answer",
        "Median, and the range of the middle 80 %. Requests run in batches, so these are waiting times "
        "under this load, not costs, and no benchmark.",
        "; ".join(f"{row.label}: {row.value}" for row in rows[:12]),
    )
