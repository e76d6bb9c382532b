"""What all views show of the categories that batteries name, as tables of words; they decide nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import one_line
from tais.manifest.model import Role
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, contrast_name, endpoint_name, interval_points, p_value, percent, points
from tais.verdict.details import listed
from tais.verdict.details.endpoint import Category
from tais.verdict.report import ContrastReport, EndpointReport, Report

__all__ = ["category_tables"]

_NAME = 60
_COLUMNS = (
    "contrast",
    "endpoint",
    "category",
    "prompts",
    "reference",
    "candidate",
    "difference",
    "interval",
    "p",
    "p adjusted (FDR)",
)


def category_tables(report: Report) -> list[WordTable]:
    """Return the categories of what is screened: those with a difference, and, folded, those without.

    Parameters
    ----------
    report
        A decided report.
    """
    found = [
        (category.p is not None and category.p < 1, _row(contrast, endpoint, category))
        for contrast in report.contrasts
        if contrast.role is Role.screen
        for endpoint in contrast.endpoints
        for category in listed(endpoint, Category)
    ]
    tables = (
        WordTable(
            "By category, where outcomes differ (a summary that decides nothing)",
            _COLUMNS,
            tuple(row for differs, row in found if differs),
        ),
        WordTable(
            "By category, where none or as many differ either way",
            _COLUMNS,
            tuple(row for differs, row in found if not differs),
            folded=True,
        ),
    )
    return [table for table in tables if table.rows]


def _row(contrast: ContrastReport, endpoint: EndpointReport, category: Category) -> tuple[str, ...]:
    return (
        contrast_name(contrast),
        endpoint_name(endpoint),
        *_figures(category),
    )


def _figures(category: Category) -> Iterator[str]:
    yield NONE if category.category is None else one_line(category.category, _NAME)
    yield NONE if category.n is None else f"{category.n:,}"
    yield percent(category.reference_rate)
    yield percent(category.candidate_rate)
    yield points(category.difference)
    yield NONE if category.ci is None else interval_points(category.ci)
    yield p_value(category.p)
    yield p_value(category.adjusted_p)
