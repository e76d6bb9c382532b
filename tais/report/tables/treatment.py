"""What all views show of drafts, as tables of words; empty where no arm told of any."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import one_line
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, contrast_name, percent
from tais.verdict.report import ContrastReport, Report

__all__ = ["treatment_tables"]

_NAME = 60


def treatment_tables(report: Report) -> list[WordTable]:
    """Return the tables that have rows.

    Parameters
    ----------
    report
        A decided report.
    """
    tables = (
        WordTable(
            "Drafted tokens by their place in the draft",
            ("contrast", "position", "after an accepted token", "accepted", "share", "interval"),
            tuple(_positions(report)),
        ),
        WordTable(
            "Drafted tokens by the length of the prompt",
            ("contrast", "tokens of the prompt", "answers", "drafted", "accepted", "share"),
            tuple(_lengths(report)),
        ),
    )
    return [table for table in tables if table.rows]


def _name(contrast: ContrastReport) -> str:
    return one_line(contrast_name(contrast))[:_NAME]


def _positions(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast in report.contrasts:
        for place, found in enumerate(contrast.treatment.by_position, start=1):
            bounds = found.wilson
            yield (
                _name(contrast),
                f"{place:,}",
                f"{found.tried:,}",
                f"{found.accepted:,}",
                percent(found.rate),
                NONE if bounds is None else f"[{percent(bounds[0])}, {percent(bounds[1])}]",
            )


def _lengths(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast in report.contrasts:
        for found in contrast.treatment.by_prompt_length:
            last = "and more" if found.below is None else f"to {found.below - 1:,}"
            yield (
                _name(contrast),
                f"{found.least:,} {last}",
                f"{found.answers:,}",
                f"{found.draft_tokens:,}",
                f"{found.accepted_tokens:,}",
                percent(found.acceptance_rate),
            )
