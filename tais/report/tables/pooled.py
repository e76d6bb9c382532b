"""What all views show of the safety batteries taken together; it decides nothing."""

from __future__ import annotations

from tais.common.text import one_line
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, contrast_name, number, p_value, points
from tais.verdict.details import detail
from tais.verdict.details.contrast import PooledSafety
from tais.verdict.report import ContrastReport, Report

__all__ = ["pooled_tables"]

_COLUMNS = (
    "contrast",
    "endpoints",
    "prompts",
    "became unsafe",
    "became safe",
    "difference",
    "p (worse, exact)",
    "odds ratio of a safe answer",
    "interval",
)
_NAMED = 12


def pooled_tables(report: Report) -> list[WordTable]:
    """Return the pooled safety endpoint of each contrast that has one.

    Parameters
    ----------
    report
        A decided report.
    """
    rows = [
        _row(contrast, found)
        for contrast in report.contrasts
        if (found := detail(contrast, PooledSafety)) is not None
    ]
    title = "All safety batteries together, for losses too small for one (a summary that decides nothing)"
    return [WordTable(title, _COLUMNS, tuple(rows))] if rows else []


def _row(contrast: ContrastReport, found: PooledSafety) -> tuple[str, ...]:
    named = ", ".join(one_line(name, 60) for name in found.endpoints[:_NAMED])
    more = f" and {len(found.endpoints) - _NAMED} more" if len(found.endpoints) > _NAMED else ""
    counts = (found.n, found.safe_to_unsafe, found.unsafe_to_safe)
    interval = found.odds_ratio_ci
    return (
        contrast_name(contrast),
        named + more,
        *(NONE if count is None else f"{count:,}" for count in counts),
        points(found.difference),
        p_value(found.p_worse),
        number(found.odds_ratio),
        NONE if interval is None else f"[{number(interval[0])}, {number(interval[1])}]",
    )
