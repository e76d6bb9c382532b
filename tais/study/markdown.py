"""The report of a study as Markdown and as lines for the terminal; it holds no prompt and no answer."""

from __future__ import annotations

from collections.abc import Iterator

from tais.report.markdown import MARKS, escaped, role_mark, table
from tais.report.wording import NONE
from tais.study.report import StudyReport
from tais.study.wording import CONTRAST_COLUMNS, SAYS, contrast_cells, published, run_cells
from tais.verdict.report import Verdict

__all__ = ["render_study_markdown", "study_lines"]

_LONG = 400


def render_study_markdown(report: StudyReport) -> str:
    """Return the report of a study as Markdown."""
    return "\n".join(_sections(report))


def _mark(verdict: Verdict | None) -> str:
    return NONE if verdict is None else MARKS[verdict]


def _sections(report: StudyReport) -> Iterator[str]:
    verdict = "incomplete" if report.verdict is None else _mark(report.verdict)
    yield f"## {verdict}: {escaped(report.title, _LONG)}\n"
    if report.source:
        yield f"Source: {escaped(report.source, _LONG)}\n"
    if report.rows:
        yield "### Published figures beside ours\n"
        rows = [
            [
                escaped(row.question, _LONG),
                escaped(published(row), _LONG),
                escaped(row.ours, _LONG),
                _mark(row.verdict),
                escaped(row.remark or "", _LONG),
            ]
            for row in report.rows
        ]
        yield table(("question", "published", "ours", "verdict of ours", "remark"), rows)
    yield "### Runs\n"
    rows = [[*(escaped(cell, _LONG) for cell in run_cells(run)), _mark(run.verdict)] for run in report.runs]
    yield table(("manifest", "run", "arms", "answers", "signed", "verdict"), rows)
    for run in report.runs:
        if run.error:
            yield f"No verdict of {escaped(run.name)}: {escaped(run.error, _LONG)}\n"
    for run in report.runs:
        if run.contrasts:
            yield f"### {escaped(run.name)}\n"
            rows = [
                [
                    *(escaped(cell, _LONG) for cell in contrast_cells(contrast)),
                    role_mark(contrast.role, contrast.verdict),
                ]
                for contrast in run.contrasts
            ]
            yield table((*map(escaped, CONTRAST_COLUMNS), "verdict"), rows)
    yield "### What this says\n"
    yield "".join(f"- {line}\n" for line in SAYS)


def study_lines(report: StudyReport) -> Iterator[str]:
    """Yield what the command says at the end, as plain text."""
    for row in report.rows:
        verdict = NOT_DECIDED if row.verdict is None else row.verdict.value
        yield f"{row.question}: published {row.published or NONE}; ours {row.ours}; {verdict}"
    for run in report.runs:
        verdict = run.verdict.value if run.verdict else run.error or "not run"
        yield f"{run.name}: {verdict}"


NOT_DECIDED = "not decided"
