"""The terminal view of a report: what does not pass in full, one line for what does, the verdict last."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tais.cli.console import plain_console, stderr_console
from tais.cli.views.ending import STYLES, ending
from tais.common.text import printable
from tais.manifest.model import Role
from tais.report.tables.categories import category_tables
from tais.report.tables.people import flip_rows, intro, rater_rows
from tais.report.tables.pooled import pooled_tables
from tais.report.tables.scorers import scorer_tables
from tais.report.wording import (
    NONE,
    change,
    cut_words,
    interval_words,
    invalid_words,
    number,
    outcome,
    outcome_mark,
    percent,
)
from tais.verdict.report import (
    AdjudicationReport,
    ContrastReport,
    EndpointReport,
    Reason,
    Report,
    Verdict,
)

__all__ = ["print_adjudication", "print_report", "render_text", "report_parts"]

_STYLE = STYLES
_WIDTH = 120
_WIDE = 120
"""Columns from which on a table of endpoints holds every number."""


def print_report(report: Report, run_dir: Path, *, verbose: bool = False) -> None:
    """Print the view to standard error."""
    console = stderr_console()
    if not console.is_terminal:
        # A log wraps where it likes; eighty columns would break the table.
        console.width = _WIDTH
    _draw(report, run_dir, console, verbose)


def render_text(report: Report, run_dir: Path, *, verbose: bool = False) -> str:
    """Return the view as plain text."""
    stream = io.StringIO()
    _draw(report, run_dir, plain_console(stream, _WIDTH), verbose)
    return stream.getvalue()


def _draw(report: Report, run_dir: Path, console: Console, verbose: bool) -> None:
    for part in report_parts(report, run_dir, width=console.width, verbose=verbose):
        console.print(part)


def report_parts(
    report: Report, run_dir: Path, *, width: int = _WIDTH, verbose: bool = False
) -> Iterator[RenderableType]:
    """Yield what the view is made of, the verdict last: it is what stays on the screen."""
    yield Text()
    brief = [c for c in report.contrasts if not verbose and _went_well(c)]
    for contrast in brief:
        yield _one_line(contrast)
    for contrast in report.contrasts:
        if contrast not in brief:
            yield Text()
            yield from _contrast(contrast, width)
    if verbose:
        yield from _opinions(report)
    if report.adjudication is not None:
        yield Text()
        yield from _adjudication(report.adjudication)
    if verbose:
        yield Text()
        for reason in report.reasons:
            yield _reason(reason, "")
    elif brief:
        yield Text("-v shows every contrast, endpoint and note", style="dim")
    yield Text()
    yield from ending(report, run_dir, width)


def _went_well(contrast: ContrastReport) -> bool:
    return outcome_mark(contrast.role, contrast.verdict) is Verdict.passed


def _one_line(contrast: ContrastReport) -> Text:
    role = "" if contrast.role is Role.screen else f"  ({contrast.role.value.replace('_', ' ')})"
    identity = contrast.identity
    same = "" if identity.rate is None else f": {identity.identical:,} of {identity.n:,} identical"
    return Text.assemble(
        (outcome(contrast.role, contrast.verdict), _STYLE[Verdict.passed]),
        f"  {_shown(contrast.candidate)} against {_shown(contrast.reference)}",
        (role, "dim"),
        same,
    )


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


def _contrast(contrast: ContrastReport, width: int) -> Iterator[RenderableType]:
    yield Text.assemble(
        (outcome(contrast.role, contrast.verdict), _STYLE[outcome_mark(contrast.role, contrast.verdict)]),
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
        yield _endpoints(contrast, wide=width >= _WIDE)
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


def _endpoints(contrast: ContrastReport, *, wide: bool) -> Table:
    """Return the table of endpoints; on a narrow terminal without what is in the page, too."""
    names = ("endpoint", "n", "reference", "candidate", "difference", "interval", "h", "invalid", "cut")
    kept = (*names, "verdict") if wide else ("endpoint", "n", "rates", "difference", "verdict")
    table = Table(box=SIMPLE, pad_edge=True, show_edge=False)
    for name in kept:
        left = name in ("endpoint", "verdict")
        # Only names may take more than one line: a number that is cut is another number.
        folds = name == "endpoint"
        table.add_column(
            name,
            justify="left" if left else "right",
            no_wrap=not folds,
            overflow="fold",
            min_width=8 if folds else None,
        )
    for e in contrast.endpoints:
        rates = percent(e.reference_rate), percent(e.candidate_rate)
        interval = interval_words(e.tost).removesuffix(" pp")
        style = _STYLE[outcome_mark(contrast.role, e.verdict)]
        verdict = Text(outcome(contrast.role, e.verdict), style=style)
        row: tuple[str, ...] = (" to ".join(rates), f"{change(e)}\n{interval}")
        if wide:
            counts = invalid_words(e), cut_words(e)
            row = (*rates, change(e), interval, number(e.cohens_h), *counts)
        table.add_row(_shown(e.key.label), f"{e.clusters:,}", *row, verdict)
    return table
