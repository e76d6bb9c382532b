"""One page over many runs: verdicts, links, and how the rates of each endpoint moved from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from tais.common.text import one_line
from tais.report.figures.canvas import MARKS, SERIES, Drawn, canvas, legend_above
from tais.report.figures.svg import RC, svg_of
from tais.report.html.page import defused, page_asset, page_environment, page_policy
from tais.report.wording import NONE, percent, rate
from tais.verdict.report import Interval, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Overview", "OverviewRun", "Point", "Series", "render_overview"]

_MOST_FIGURES = 24
_MOST_POINTS = 60
_NAME = 44


@dataclass(frozen=True, slots=True)
class OverviewRun:
    """One run of the list."""

    name: str
    run: str
    date: datetime | None
    verdict: Verdict | None
    contrasts: int | None
    key: str | None
    problem: str | None
    href: str | None
    """Relative address of its page; None where it has none."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Date, contrasts and key in words."""
        return (
            _day(self.date),
            NONE if self.contrasts is None else str(self.contrasts),
            (self.key or "unsigned")[:16],
        )

    @property
    def address(self) -> str:
        """The address of its page, as one stands in a page."""
        return quote((self.href or "").encode("utf-8", "replace"), safe="/")


@dataclass(frozen=True, slots=True)
class Point:
    """One endpoint in one run."""

    run: str
    date: datetime | None
    verdict: Verdict
    n: int
    reference_rate: float | None
    reference_interval: Interval | None
    candidate_rate: float | None
    candidate_interval: Interval | None

    @property
    def cells(self) -> tuple[str, ...]:
        """Date, n and both rates in words."""
        reference = rate(self.reference_rate, self.reference_interval)
        return _day(self.date), f"{self.n:,}", reference, rate(self.candidate_rate, self.candidate_interval)


@dataclass(frozen=True, slots=True)
class Series:
    """One endpoint of one contrast over the runs of one manifest, oldest first."""

    name: str
    reference: str
    candidate: str
    endpoint: str
    points: tuple[Point, ...]

    @property
    def title(self) -> str:
        """Manifest, contrast and endpoint."""
        names = (one_line(part, _NAME) for part in (self.name, self.candidate, self.reference, self.endpoint))
        return "{}: {} against {}, {}".format(*names)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows."""

    folder: str
    runs: tuple[OverviewRun, ...]
    series: tuple[Series, ...]


def render_overview(found: Overview) -> str:
    """Return the page; it loads nothing, and no text in it acts."""
    from markupsafe import Markup

    style = page_asset("page.css")
    moving = [series for series in found.series if len(series.points) > 1]
    page = (
        page_environment()
        .get_template("overview.html")
        .render(
            policy=page_policy(style, None),
            style=Markup(style),
            folder=one_line(found.folder),
            runs=found.runs[::-1],
            counts=_counts(found.runs),
            series=found.series,
            figures=list(_figures(moving[:_MOST_FIGURES])),
            left_out=len(moving[_MOST_FIGURES:]),
        )
    )
    return defused(page)


def _counts(runs: Sequence[OverviewRun]) -> str:
    found = [(verdict.value, sum(run.verdict is verdict for run in runs)) for verdict in Verdict]
    unfinished = sum(run.verdict is None for run in runs)
    return ", ".join(
        f"{count} {word}" for word, count in [*found, ("without a verdict", unfinished)] if count
    )


def _day(date: datetime | None) -> str:
    return NONE if date is None else f"{date:%Y-%m-%d %H:%M}"


def _figures(series: Sequence[Series]) -> Iterator[dict[str, object]]:
    import matplotlib
    from markupsafe import Markup

    with matplotlib.rc_context(RC):
        for index, one in enumerate(series):
            drawn = _trend(one)
            svg = svg_of(drawn.figure, f"plot-trend-{index}", f"{drawn.title}. {drawn.words}")
            yield {"title": drawn.title, "caption": drawn.caption, "svg": Markup(svg)}


def _trend(series: Series) -> Drawn:
    figure, axes = canvas()
    points = series.points[-_MOST_POINTS:]
    sides = (
        (series.reference, -0.08, [(p.reference_rate, p.reference_interval) for p in points], "s"),
        (series.candidate, 0.08, [(p.candidate_rate, p.candidate_interval) for p in points], "o"),
    )
    for index, (arm, shift, rates, marker) in enumerate(sides):
        _side(axes, rates, shift, SERIES[index], marker)
        axes.plot([], [], marker=marker, color=SERIES[index], label=one_line(arm, 30))
    for x, point in enumerate(points):
        if point.verdict is not Verdict.passed and point.candidate_rate is not None:
            mark = MARKS[point.verdict]
            axes.plot([x + 0.08], [100 * point.candidate_rate], mark, color=SERIES[1], markersize=9)
    axes.set_xlim(-0.5, len(points) - 0.5)
    step = max(1, -(-len(points) // 5))
    axes.set_xticks(range(0, len(points), step), [_day(p.date)[:10] for p in points][::step])
    axes.set_ylabel("as expected, per cent")
    legend_above(figure, axes)
    words = "; ".join(f"{_day(p.date)}: {percent(p.candidate_rate)}, {p.verdict.value}" for p in points)
    caption = (
        "Rates with 95 % Wilson intervals, one pair per run. A cross marks a fail, a diamond inconclusive."
    )
    return Drawn(figure, series.title, caption, words)


def _side(
    axes: Axes, rates: Sequence[tuple[float | None, Interval | None]], shift: float, colour: str, marker: str
) -> None:
    known = [(x + shift, value, interval) for x, (value, interval) in enumerate(rates) if value is not None]
    for x, _, interval in known:
        if interval is not None:
            axes.plot([x, x], [100 * end for end in interval], color=colour, linewidth=1.2)
    axes.plot(
        [x for x, *_ in known],
        [100 * value for _, value, _ in known],
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=0.8,
    )
