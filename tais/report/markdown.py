"""The report as Markdown, for a pull request or a step summary.

It holds no text of a prompt or an answer: such a summary is read by many and kept for long. It stays
under 60 kB, the most that a comment takes, whatever the run; the page beside it has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tais.common.text import one_line
from tais.manifest.model import Role
from tais.records import stratum_label
from tais.report.headline import headline
from tais.report.meaning import says, says_not
from tais.report.next_steps import next_steps
from tais.report.redact import redacted
from tais.report.tables.audit import audit_tables
from tais.report.tables.categories import category_tables
from tais.report.tables.people import FLIP_COLUMNS, RATER_COLUMNS, flip_rows, intro, rater_rows
from tais.report.tables.pooled import pooled_tables
from tais.report.tables.scorers import scorer_tables
from tais.report.tables.starts import starts_tables
from tais.report.tables.sweep import sweep_tables
from tais.report.tables.treatment import treatment_tables
from tais.report.wording import (
    NONE,
    ROLES,
    change,
    contrast_name,
    cut_words,
    endpoint_name,
    interval_words,
    invalid_words,
    number,
    outcome,
    outcome_mark,
    percent,
    screens_first,
    shown_words,
    treatment_words,
)
from tais.verdict.report import AdjudicationReport, ContrastReport, ItemReport, Reason, Report, Verdict

__all__ = ["MARKS", "escaped", "render_markdown", "role_mark", "table"]

_MOST_BYTES = 58_000
_MOST_ROWS = 40
_MOST_ITEMS = 25
_MOST_REASONS = 12
_NAME = 80
_MESSAGE = 300
MARKS = {Verdict.passed: "✅ pass", Verdict.failed: "❌ fail", Verdict.inconclusive: "❔ inconclusive"}

# Whatever starts markup, a link, a mention or a reference, or is a command of a CI log ("::", "##[").
_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$@^]|:(?=[:/])|(?<=:):|(?<=www)\.", re.IGNORECASE)
# What would start a list or a heading at the beginning of a text.
_LEADING = re.compile(r"^(?=[-+=]|\d+[.)])")
_ESCAPED = {character: f"&#{ord(character)};" for character in "[]<>&:$."}
# A mention or a reference is looked for after rendering, so that an escape alone does not stop it.
_BROKEN = {character: f"\\{character}&#8203;" for character in "@#"}


def render_markdown(report: Report, *, redact: bool = False) -> str:
    """Return the report as Markdown, under 60 kB.

    Parameters
    ----------
    report
        A decided report.
    redact
        Leave out what scorers called the answers, too.
    """
    if redact:
        report = redacted(report)
    report = report.model_copy(update={"contrasts": screens_first(report)})
    return _fitted(list(_sections(report)))


def _fitted(sections: Sequence[str]) -> str:
    """Join whole sections as long as they fit; the first ones matter most."""
    kept, size, left_out = [], 0, 0
    for section in sections:
        size += len(section.encode()) + 1
        if size < _MOST_BYTES:
            kept.append(section)
        else:
            left_out += 1
            size -= len(section.encode()) + 1
    if left_out:
        kept.append(f"{left_out} longer sections were left out here; report.html has them.\n")
    return "\n".join(kept)


def _sections(report: Report) -> Iterator[str]:
    top = headline(report)
    yield f"### {MARKS[report.verdict]}: {escaped(report.name)}\n\n{escaped(top.claim, _MESSAGE)}\n"
    yield _list(
        f"**{term}**: **{escaped(f.value)}** {escaped(f.meaning, _MESSAGE)}" for term, f in top.figures
    )
    if steps := next_steps(report):
        yield "**What to do next**\n\n" + _list(
            escaped(step.line, _MESSAGE) for step in steps[:_MOST_REASONS]
        )
    yield _reasons(report.reasons)
    yield table(
        ("contrast", "role", "verdict", "identical answers", "speculation"),
        [_contrast_row(c) for c in report.contrasts],
    )
    yield _endpoints(report)
    more = (
        *(starts_tables, sweep_tables, pooled_tables, category_tables),
        *(treatment_tables, audit_tables, scorer_tables),
    )
    for found in (table for tables in more for table in tables(report)):
        if not found.folded:
            cells = [[escaped(cell, _MESSAGE) for cell in row] for row in found.rows]
            yield _folded(found.title, table(found.columns, cells))
    for contrast in report.contrasts:
        if contrast.reasons:
            yield _folded(f"Why: {contrast_name(contrast)}", _reasons(contrast.reasons))
    for contrast in report.contrasts:
        yield from _items(contrast)
    if report.adjudication is not None:
        yield _adjudication(report.adjudication)
    yield _folded("What this verdict says", _list(escaped(line, _MESSAGE) for line in says(report)))
    yield _folded("What it does not say", _list(escaped(line, _MESSAGE) for line in says_not(report)))
    yield _provenance(report)


def escaped(text: str, limit: int = _NAME) -> str:
    """Return foreign text as one line that starts no markup, link, mention, reference or command."""
    return _SPECIAL.sub(_escape, one_line(text, limit))


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPED.get(character) or _BROKEN.get(character) or f"\\{character}"


def _list(lines: Iterable[str]) -> str:
    return "".join(f"- {_LEADING.sub('&#8203;', line)}\n" for line in lines)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escaped(title)}</summary>\n\n{body}\n</details>\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are escaped already."""
    lines = [columns, ["---"] * len(columns), *rows[:_MOST_ROWS]]
    more = len(rows) - _MOST_ROWS
    left_out = f"\n{more:,} more rows stand in report.html.\n" if more > 0 else ""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + left_out


def _reasons(reasons: Sequence[Reason]) -> str:
    shown = sorted(reasons, key=lambda r: r.severity == "note")
    lines = [f"{'note: ' if r.severity == 'note' else ''}{escaped(r.message, _MESSAGE)}" for r in shown]
    more = len(lines) - _MOST_REASONS
    return _list([*lines[:_MOST_REASONS], *([f"{more} more in report.html"] if more > 0 else [])])


def role_mark(role: Role, verdict: Verdict) -> str:
    """Return the mark and the word of an outcome; a control that is caught did what it is for."""
    mark, _, word = MARKS[outcome_mark(role, verdict)].partition(" ")
    return f"{mark} {outcome(role, verdict) if role is Role.positive_control else word}"


def _contrast_row(contrast: ContrastReport) -> list[str]:
    identity = contrast.identity
    return [
        escaped(contrast_name(contrast)),
        ROLES[contrast.role],
        role_mark(contrast.role, contrast.verdict),
        f"{identity.identical:,} of {identity.n:,} ({percent(identity.rate, 2)})",
        escaped(treatment_words(contrast), _MESSAGE),
    ]


def _endpoints(report: Report) -> str:
    columns = (
        "contrast",
        "endpoint",
        "verdict",
        "n",
        "reference",
        "candidate",
        "difference",
        "interval",
        "h",
        "invalid",
        "cut off",
        "shown able to fail by",
    )
    rows = [
        [
            escaped(contrast.candidate),
            escaped(endpoint_name(endpoint)),
            role_mark(contrast.role, endpoint.verdict),
            f"{endpoint.clusters:,}",
            percent(endpoint.reference_rate),
            percent(endpoint.candidate_rate),
            change(endpoint),
            escaped(interval_words(endpoint.tost)) if endpoint.tost else NONE,
            number(endpoint.cohens_h),
            invalid_words(endpoint),
            cut_words(endpoint),
            escaped(shown_words(endpoint.sensitivity)),
        ]
        for contrast in report.contrasts
        for endpoint in contrast.endpoints
    ]
    return _folded("Endpoints", table(columns, rows)) if rows else ""


def _items(contrast: ContrastReport) -> Iterator[str]:
    if contrast.items is None or not (contrast.items.flipped or contrast.items.diverging):
        return
    items = contrast.items
    rows = [_item_row(item) for item in items.kept[:_MOST_ITEMS]]
    counted = f"{contrast_name(contrast)}: {items.flipped:,} flipped, {items.diverging:,} with other words"
    more = items.flipped + items.diverging - len(rows)
    left_out = f"\n{more:,} more stand in report.html and in the parquet files.\n" if more > 0 else ""
    columns = ("item", "battery", "outcome", "first difference")
    yield _folded(counted, table(columns, rows) + left_out)


def _item_row(item: ItemReport) -> list[str]:
    outcome = "other words, same outcome"
    if item.flipped:
        labels = "" if item.reference_label is None else f": {item.reference_label} → {item.candidate_label}"
        worse = (item.candidate_value or 0) < (item.reference_value or 0)
        outcome = f"flipped for the {'worse' if worse else 'better'}{labels}"
    where = NONE if item.first_difference is None else f"character {item.first_difference:,}"
    return [
        escaped(item.item_id),
        escaped(stratum_label(item.battery, item.stratum)),
        escaped(outcome),
        where,
    ]


def _adjudication(found: AdjudicationReport) -> str:
    tables = [
        table(columns, [[escaped(cell) for cell in row] for row in rows])
        for columns, rows in ((FLIP_COLUMNS, flip_rows(found)), (RATER_COLUMNS, rater_rows(found)))
    ]
    said = _list(escaped(line, _MESSAGE) for line in intro(found))
    return _folded("What people say of the answers", "\n".join([said, *tables]))


def _provenance(report: Report) -> str:
    facts = report.facts
    found = {
        "run": facts.run.id,
        "lock sha256": facts.lock.sha256,
        "manifest sha256": facts.manifest.sha256,
        "TAIS": facts.tais,
    }
    said = ", ".join(f"{name} {escaped(value)}" for name, value in found.items() if value)
    return f"{said}\n" if said else ""
