"""What the page shows of a contrast: its endpoints with the exact figures, and what it could have seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tais.common.text import one_line
from tais.manifest.model import Hypothesis
from tais.records import stratum_label
from tais.report.html.details import Rows, detail_rows
from tais.report.wording import (
    NONE,
    ROLES,
    change,
    contrast_name,
    cut_words,
    endpoint_name,
    interval_words,
    invalid_words,
    margin_words,
    number,
    p_value,
    percent,
    points,
    share,
    shown_words,
    treatment_words,
)
from tais.verdict.details import listed
from tais.verdict.details.contrast import EndpointLeaks, ShownSensitivity
from tais.verdict.report import ContrastReport, EndpointReport, Interval, Reason, Report, Verdict

__all__ = ["ENDPOINT_COLUMNS", "contrast_views"]

ENDPOINT_COLUMNS = (
    "prompts",
    "reference",
    "candidate",
    "flips ↓ / ↑",
    "difference",
    "margin",
    "p (TOST)",
    "h",
    "null of |h|",
    "p (McNemar)",
    "invalid",
    "cut off",
    "shown able to fail by",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and what stands in small print under it."""

    value: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One row of the table of endpoints."""

    name: str
    verdict: Verdict
    cells: tuple[Cell, ...]
    reasons: tuple[Reason, ...]
    details: Rows


@dataclass(frozen=True, slots=True)
class LeakView:
    """How small a leak of one control shows in one endpoint."""

    control: str
    endpoint: str
    not_pass: Cell
    fail: Cell
    identity: str
    difference: str
    titrated: str


@dataclass(frozen=True, slots=True)
class ContrastView:
    """One contrast, ready for the page."""

    index: int
    report: ContrastReport
    name: str
    role: str
    identity: str
    treatment: str
    endpoints: tuple[EndpointView, ...]
    leaks: tuple[LeakView, ...]
    details: Rows


def contrast_views(report: Report) -> list[ContrastView]:
    """Return the contrasts in the report's order."""
    one_sided = report.rules.hypothesis is Hypothesis.non_inferiority
    return [
        ContrastView(
            index=index,
            report=c,
            name=one_line(contrast_name(c)),
            role=ROLES[c.role],
            identity=f"{c.identity.identical:,} of {c.identity.n:,} ({percent(c.identity.rate, 2)})",
            treatment=treatment_words(c),
            endpoints=tuple(_endpoint(e, one_sided) for e in c.endpoints),
            leaks=tuple(_leaks(c)),
            details=detail_rows(c.details),
        )
        for index, c in enumerate(report.contrasts)
    ]


def _endpoint(e: EndpointReport, one_sided: bool) -> EndpointView:
    table, tost = e.table, e.tost
    cells = (
        Cell(f"{e.clusters:,}", "" if e.clusters == e.n else f"{e.n:,} answers"),
        Cell(percent(e.reference_rate), _rate_interval(e.reference_wilson)),
        Cell(percent(e.candidate_rate), _rate_interval(e.candidate_wilson)),
        Cell(NONE if table is None else f"{table.reference_only:,} / {table.candidate_only:,}"),
        Cell(change(e), interval_words(tost).removesuffix(" pp") if tost else ""),
        Cell(NONE if tost is None else margin_words(tost, one_sided)),
        Cell(p_value(tost.p if tost else None), tost.method if tost else ""),
        Cell(number(e.cohens_h), _number_interval(e.cohens_h_ci)),
        _null(e),
        Cell(
            p_value(e.mcnemar_p),
            "" if e.adjusted_p is None else f"adjusted, exact: {p_value(e.adjusted_p)}",
        ),
        Cell(invalid_words(e)),
        Cell(cut_words(e)),
        _shown(e),
    )
    return EndpointView(one_line(endpoint_name(e)), e.verdict, cells, e.reasons, detail_rows(e.details))


def _rate_interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def _number_interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{number(interval[0])}, {number(interval[1])}]"


def _shown(e: EndpointReport) -> Cell:
    value, _, leak = shown_words(e.sensitivity).partition("; ")
    return Cell(value, leak)


def _null(e: EndpointReport) -> Cell:
    """What the same stack reaches against itself, and the cutoff below which that must lie."""
    cutoff = f"cutoff {e.h_cutoff:g}" if e.cohens_h is not None else ""
    return Cell(NONE if e.null_h_quantile is None else f"{e.null_h_quantile:.3f}", cutoff)


def _leaks(contrast: ContrastReport) -> Iterator[LeakView]:
    for shown in listed(contrast, ShownSensitivity):
        control = one_line(str(shown.control))
        yield LeakView(
            control=control,
            endpoint="all together",
            not_pass=Cell(share(shown.not_pass)),
            fail=Cell(share(shown.fail)),
            identity=share(shown.identity),
            difference="",
            titrated="",
        )
        for endpoint in shown.endpoints:
            yield _endpoint_leak(control, endpoint)


def _endpoint_leak(control: str, endpoint: EndpointLeaks) -> LeakView:
    titrated, said = endpoint.titrated, ""
    if titrated is not None:
        said = f"{share(titrated.share)}: {points(titrated.difference)}, {titrated.verdict}"
    return LeakView(
        control=control,
        endpoint=one_line(f"{stratum_label(endpoint.battery, endpoint.stratum)} / {endpoint.scorer}"),
        not_pass=Cell(share(endpoint.not_pass), _share_interval(endpoint.not_pass_interval)),
        fail=Cell(share(endpoint.fail), _share_interval(endpoint.fail_interval)),
        identity="",
        difference=points(endpoint.control_difference),
        titrated=one_line(said),
    )


def _share_interval(interval: tuple[float, float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = (NONE if x is None else f"{100 * x:.3g}" for x in interval)
    return f"[{low}, {high}]"
