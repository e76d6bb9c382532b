"""The terminal view of a report: the verdict first, then what it rests on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tais.cli.console import stderr_console
from tais.common.text import printable
from tais.report.tables.categories import category_tables
from tais.report.tables.people import flip_rows, intro, rater_rows
from tais.report.tables.pooled import pooled_tables
from tais.report.tables.scorers import scorer_tables
from tais.report.wording import NONE, change, cut_words, interval_words, invalid_words, is_ratio
from tais.verdict.report import (
    AdjudicationReport,
    ContrastReport,
    EndpointReport,
    Reason,
    Report,
    TostReport,
    Verdict,
)

__all__ = ["print_adjudication", "print_report", "render_text", "report_parts"]

_STYLE = {Verdict.passed: "bold green", Verdict.failed: "bold red", Verdict.inconclusive: "bold yellow"}
_WIDTH = 110


def print_report(report: Report, run_dir: Path) -> None:
    """Print the view to standard error."""
    console = stderr_console()
    if not console.is_terminal:
        # A log wraps where it likes; eighty columns would break the table.
        console.width = _WIDTH
    _draw(report, run_dir, console)


def render_text(report: Report, run_dir: Path) -> str:
    """Return the view as plain text."""
    stream = io.StringIO()
    _draw(report, run_dir, Console(file=stream, width=_WIDTH, highlight=False, color_system=None))
    return stream.getvalue()


def _draw(report: Report, run_dir: Path, console: Console) -> None:
    for part in report_parts(report, run_dir):
        console.print(part)


def report_parts(report: Report, run_dir: Path) -> Iterator[RenderableType]:
    """Yield what the view is made of, the verdict first."""
    yield Text()
    yield Text.assemble(
        (report.verdict.value.upper(), _STYLE[report.verdict]), ("  ", ""), (_shown(report.name), "bold")
    )
    for reason in report.reasons:
        yield _reason(reason, "  ")
    for contrast in report.contrasts:
        yield Text()
        yield from _contrast(contrast)
    yield from _opinions(report)
    if report.adjudication is not None:
        yield Text()
        yield from _adjudication(report.adjudication)
    yield Text()
    yield Text(f"report: {run_dir / 'report.html'}")


def _opinions(report: Report) -> Iterator[RenderableType]:
    """Yield categories, and what scorers say of each other; what is long or says little is in the page."""
    for found in (*pooled_tables(report), *category_tables(report), *scorer_tables(report)):
        if not found.folded:
            yield Text()
            yield Text(f"  {found.title}", style="bold")
            table = Table(*found.columns, box=SIMPLE, pad_edge=True, show_edge=False)
            for row in found.rows:
                table.add_row(*(Text(printable(cell)) for cell in row))
            yield table


def print_adjudication(report: Report) -> None:
    """Print what people said to standard error."""
    console = stderr_console()
    if report.adjudication is not None:
        for part in _adjudication(report.adjudication):
            console.print(part)


def _adjudication(found: AdjudicationReport) -> Iterator[Text]:
    yield Text("what people say", style="bold")
    for line in intro(found):
        yield Text(f"  {_shown(line)}")
    for contrast, endpoint, direction, asked, decided, confirmed, share, interval in flip_rows(found):
        where = f"{contrast}, {endpoint}, {direction}"
        counted = f"{confirmed} of {decided} confirmed ({share}, {interval}), {asked} asked"
        yield Text(f"  {_shown(where)}: {counted}")
    for who, n, observed, kappa, error, unsure in rater_rows(found):
        beside = "" if unsure == NONE else f", unsure of {unsure}"
        yield Text(f"  {_shown(who)}: {observed} of {n} answers, kappa {kappa} (error {error}){beside}")


def _shown(text: str) -> str:
    # A table or a narrow terminal breaks within words too.
    return printable(text).replace("::", ": :")


def _reason(reason: Reason, indent: str) -> Text:
    mark, style = ("- ", "") if reason.severity == "decides" else ("note: ", "dim")
    return Text(f"{indent}{mark}{_shown(reason.message)}", style=style)


def _contrast(contrast: ContrastReport) -> Iterator[RenderableType]:
    yield Text.assemble(
        (contrast.verdict.value, _STYLE[contrast.verdict]),
        (f"  {_shown(contrast.candidate)} against {_shown(contrast.reference)}", "bold"),
        (f"  ({contrast.role.value.replace('_', ' ')})", "dim"),
    )
    yield Text(f"  identical outputs: {_identity(contrast)}")
    said = _treatment(contrast)
    if said:
        yield Text(f"  speculation: {said}")
    for reason in contrast.reasons:
        yield _reason(reason, "  ")
    if contrast.endpoints:
        yield _endpoints(contrast.endpoints)
    yield from _endpoint_reasons(contrast.endpoints)


def _endpoint_reasons(endpoints: tuple[EndpointReport, ...]) -> Iterator[Text]:
    """Yield what decided where an endpoint did not pass; a note that several endpoints share, once."""
    notes: dict[str, list[tuple[str, Reason]]] = {}
    for endpoint in endpoints:
        for reason in endpoint.reasons:
            if reason.severity == "note":
                notes.setdefault(reason.code, []).append((endpoint.key.label, reason))
            elif endpoint.verdict is not Verdict.passed:
                yield _reason(reason, f"  {_shown(endpoint.key.label)}: ")
    for shared in notes.values():
        where, reason = shared[0]
        more = f" (and {len(shared) - 1} more like it)" if len(shared) > 1 else ""
        yield _reason(
            reason.model_copy(update={"message": f"{reason.message}{more}"}), f"  {_shown(where)}: "
        )


def _identity(contrast: ContrastReport) -> str:
    identity = contrast.identity
    if identity.rate is None:
        return "none compared"
    said = f"{identity.identical} of {identity.n} ({identity.rate:.2%})"
    if identity.first_divergences:
        first = min(identity.first_divergences, key=lambda d: d.position)
        part = "" if first.part == "text" else f"{_shown(first.part)}, "
        said += f", earliest difference at {part}{first.unit} {first.position} of {_shown(first.item_id)}"
    return said


def _treatment(contrast: ContrastReport) -> str:
    treatment = contrast.treatment
    if treatment.requested is None:
        return ""
    said = f"{_shown(treatment.requested)} asked for, {_shown(treatment.resolved or 'none')} runs"
    if treatment.draft_tokens is not None:
        rate = "" if treatment.acceptance_rate is None else f" ({treatment.acceptance_rate:.1%})"
        said += f"; {treatment.draft_tokens} tokens drafted, {treatment.accepted_tokens} accepted{rate}"
        if treatment.answers is not None and treatment.answers_accepted is not None:
            said += f", in {treatment.answers_accepted} of {treatment.answers} answers"
    return said


def _endpoints(endpoints: tuple[EndpointReport, ...]) -> Table:
    table = Table(box=SIMPLE, pad_edge=True, show_edge=False)
    for name in (
        "battery",
        "n",
        "reference",
        "candidate",
        "difference",
        "interval",
        "h",
        "invalid",
        "cut",
        "verdict",
    ):
        table.add_column(name, justify="left" if name in ("battery", "verdict") else "right")
    for endpoint in endpoints:
        table.add_row(
            _shown(endpoint.key.label),
            str(endpoint.clusters),
            _percent(endpoint.reference_rate),
            _percent(endpoint.candidate_rate),
            change(endpoint) if is_ratio(endpoint) else _points(endpoint.difference),
            interval_words(endpoint.tost) if is_ratio(endpoint) else _interval(endpoint.tost),
            "-" if endpoint.cohens_h is None else f"{endpoint.cohens_h:+.3f}",
            invalid_words(endpoint),
            cut_words(endpoint),
            Text(endpoint.verdict.value, style=_STYLE[endpoint.verdict]),
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f} pp"


def _interval(tost: TostReport | None) -> str:
    return "-" if tost is None else f"[{100 * tost.ci[0]:+.2f}, {100 * tost.ci[1]:+.2f}]"
