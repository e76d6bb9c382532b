"""What all views show of scorers and judges, as tables of words; empty where a run has nothing of it."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import one_line
from tais.records import stratum_label
from tais.report.tables.table import WordTable
from tais.report.wording import (
    MINUS,
    NONE,
    contrast_name,
    endpoint_name,
    interval_points,
    number,
    percent,
    points,
    rate,
)
from tais.verdict.details import detail, listed
from tais.verdict.details.endpoint import JudgeError, SecondScorer
from tais.verdict.details.screen import Agreement, Bias, JudgeCalls
from tais.verdict.report import ContrastReport, EndpointReport, Report

__all__ = ["scorer_tables"]

_NAME = 60


def scorer_tables(report: Report) -> list[WordTable]:
    """Return the tables that have rows.

    Parameters
    ----------
    report
        A decided report.
    """
    tables = (
        WordTable(
            "Model judges",
            ("judge", "model", "answers judged", "asked", "calls saved", "replies unreadable"),
            tuple(_judges(report)),
        ),
        WordTable(
            "How far scorers agree",
            ("battery", "scorers", "distinct answers", "agree", "Cohen's kappa", "differ"),
            tuple(_agreements(report)),
        ),
        WordTable(
            "How far scorers agree, by arm",
            ("battery", "scorers", "arm", "answers", "differ", "share"),
            tuple(_by_arm(report)),
        ),
        WordTable(
            "In what they differ",
            ("battery", "first scorer", "says", "second scorer", "says", "answers"),
            tuple(_confusion(report)),
        ),
        WordTable(
            "Flips that a second scorer confirms",
            ("contrast", "endpoint", "second scorer", "flips", "confirmed", "not seen", "the other way"),
            tuple(_flips(report)),
        ),
        WordTable(
            "Rates corrected for the judge's stated errors (Rogan-Gladen)",
            ("contrast", "endpoint", "reference", "candidate", "difference", "interval"),
            tuple(_corrected(report)),
        ),
        WordTable(
            "Bias scores of BBQ (summaries, no endpoints; 0 is none)",
            ("battery", "arm", "ambiguous", "disambiguated", "direction not told"),
            tuple(_bias(report)),
        ),
        WordTable(
            "Answers that scorers see differently",
            ("battery", "item", "arm", "first scorer", "second scorer"),
            tuple(_differing(report)),
            folded=True,
        ),
    )
    return [table for table in tables if table.rows]


def _name(name: str | None) -> str:
    return NONE if name is None else one_line(name, _NAME)


def _where(found: Agreement) -> str:
    return NONE if found.battery is None else _name(stratum_label(found.battery, found.stratum))


def _count(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"


def _judges(report: Report) -> Iterator[tuple[str, ...]]:
    for judge in listed(report, JudgeCalls):
        said = ", ".join(f"{_name(arm)}: {count}" for arm, count in judge.unreadable.items() if count)
        counts = map(_count, (judge.answers, judge.asked, judge.saved))
        yield (_name(judge.judge), _name(judge.model), *counts, said or "none")


def _agreements(report: Report) -> Iterator[tuple[str, ...]]:
    for found in listed(report, Agreement):
        kappa, error = found.kappa, found.standard_error
        said = "not defined: one outcome throughout" if kappa is None else f"{kappa:.3f}".replace("-", MINUS)
        yield (
            _where(found),
            f"{_name(found.first)}, {_name(found.second)}",
            _count(found.n),
            percent(found.observed),
            said if error is None else f"{said} (s.e. {error:.3f})",
            _count(found.disagreements),
        )


def _by_arm(report: Report) -> Iterator[tuple[str, ...]]:
    for found in listed(report, Agreement):
        for arm in found.arms:
            counts = _count(arm.n), _count(arm.disagreements), percent(arm.share)
            yield (_where(found), f"{_name(found.first)}, {_name(found.second)}", _name(arm.arm), *counts)


def _confusion(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield the cells off the diagonal; what both say alike is counted in the agreement."""
    for found in listed(report, Agreement):
        for one, row in found.confusion.items():
            for two, count in row.items():
                if one != two:
                    cells = (_name(found.first), _name(one), _name(found.second), _name(two))
                    yield (_where(found), *cells, _count(count))


def _endpoints(report: Report) -> Iterator[tuple[ContrastReport, EndpointReport]]:
    return ((contrast, endpoint) for contrast in report.contrasts for endpoint in contrast.endpoints)


def _flips(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, endpoint in _endpoints(report):
        for found in listed(endpoint, SecondScorer):
            counts = map(_count, (found.flips, found.confirmed, found.unseen, found.reversed))
            yield (contrast_name(contrast), endpoint_name(endpoint), _name(found.scorer), *counts)


def _corrected(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, endpoint in _endpoints(report):
        error = detail(endpoint, JudgeError)
        if error is not None:
            yield (
                contrast_name(contrast),
                endpoint_name(endpoint),
                *(rate(side.estimate, side.ci) for side in (error.reference, error.candidate)),
                points(error.difference.estimate),
                interval_points(error.difference.ci),
            )


def _bias(report: Report) -> Iterator[tuple[str, ...]]:
    for found in listed(report, Bias):
        scores = map(number, (found.ambiguous, found.disambiguated))
        yield (_name(found.battery), _name(found.arm), *scores, _count(found.untold))


def _differing(report: Report) -> Iterator[tuple[str, ...]]:
    for found in listed(report, Agreement):
        for item in found.disagreeing_items:
            said = (
                f"{_name(found.first)}: {_name(item.first)}",
                f"{_name(found.second)}: {_name(item.second)}",
            )
            yield (_where(found), _name(item.item_id), _name(item.arm), *said)
