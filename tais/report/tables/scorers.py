"""What all views show of scorers and judges, as tables of words; empty where a run has nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tais.common.text import one_line
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
from tais.verdict.report import ContrastReport, EndpointReport, Report

__all__ = ["opinion_tables"]

_NAME = 60


def opinion_tables(report: Report) -> list[WordTable]:
    """Return the tables that have rows.

    Parameters
    ----------
    report
        A decided report. Its details are foreign data where it was read from a file: what is not as TAIS
        writes it is left out.
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


def _entries(details: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    found = details.get(key)
    yield from (entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, dict))


def _name(entry: Mapping[str, Any], key: str) -> str:
    return one_line(str(entry.get(key, NONE)), _NAME)


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _count(entry: Mapping[str, Any], key: str) -> str:
    value = _float(entry.get(key))
    return NONE if value is None else f"{value:,.0f}"


def _judges(report: Report) -> Iterator[tuple[str, ...]]:
    for entry in _entries(report.details, "judges"):
        unreadable = entry.get("unreadable")
        by_arm = unreadable.items() if isinstance(unreadable, dict) else ()
        said = ", ".join(f"{one_line(str(arm), _NAME)}: {count}" for arm, count in by_arm if count)
        counts = (_count(entry, key) for key in ("answers", "asked", "saved"))
        yield (_name(entry, "judge"), _name(entry, "model"), *counts, said or "none")


def _agreements(report: Report) -> Iterator[tuple[str, ...]]:
    for entry in _entries(report.details, "second_opinions"):
        kappa, error = _float(entry.get("kappa")), _float(entry.get("standard_error"))
        said = "not defined: one outcome throughout" if kappa is None else f"{kappa:.3f}".replace("-", MINUS)
        yield (
            _name(entry, "battery"),
            f"{_name(entry, 'first')}, {_name(entry, 'second')}",
            _count(entry, "n"),
            percent(_float(entry.get("observed"))),
            said if error is None else f"{said} (s.e. {error:.3f})",
            _count(entry, "disagreements"),
        )


def _confusion(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield the cells off the diagonal; what both say alike is counted in the agreement."""
    for entry in _entries(report.details, "second_opinions"):
        table = entry.get("confusion")
        for one, row in table.items() if isinstance(table, dict) else ():
            for two in row if isinstance(row, dict) else ():
                if one != two:
                    cells = (_name(entry, "first"), one_line(one, _NAME), _name(entry, "second"))
                    yield (_name(entry, "battery"), *cells, one_line(two, _NAME), _count(row, two))


def _endpoints(report: Report) -> Iterator[tuple[ContrastReport, EndpointReport]]:
    return ((contrast, endpoint) for contrast in report.contrasts for endpoint in contrast.endpoints)


def _flips(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, endpoint in _endpoints(report):
        for entry in _entries(endpoint.details, "second_scorers"):
            counts = (_count(entry, key) for key in ("flips", "confirmed", "unseen", "reversed"))
            yield (contrast_name(contrast), endpoint_name(endpoint), _name(entry, "scorer"), *counts)


def _corrected(report: Report) -> Iterator[tuple[str, ...]]:
    for contrast, endpoint in _endpoints(report):
        error = endpoint.details.get("judge_error")
        if not isinstance(error, dict):
            continue
        sides = [_estimate(error.get(side)) for side in ("reference", "candidate", "difference")]
        yield (
            contrast_name(contrast),
            endpoint_name(endpoint),
            *(rate(*side) for side in sides[:2]),
            points(sides[2][0]),
            interval_points(sides[2][1]),
        )


def _estimate(value: Any) -> tuple[float | None, tuple[float, float] | None]:
    if not isinstance(value, dict):
        return None, None
    bounds = value.get("ci")
    known = [x for x in map(_float, bounds) if x is not None] if isinstance(bounds, list | tuple) else []
    return _float(value.get("estimate")), (known[0], known[1]) if len(known) == 2 else None


def _bias(report: Report) -> Iterator[tuple[str, ...]]:
    for entry in _entries(report.details, "bias"):
        scores = (number(_float(entry.get(key))) for key in ("ambiguous", "disambiguated"))
        yield (_name(entry, "battery"), _name(entry, "arm"), *scores, _count(entry, "untold"))


def _differing(report: Report) -> Iterator[tuple[str, ...]]:
    for entry in _entries(report.details, "second_opinions"):
        for item in _entries(entry, "disagreeing_items"):
            said = (f"{_name(entry, side)}: {_name(item, side)}" for side in ("first", "second"))
            yield (_name(entry, "battery"), _name(item, "item_id"), _name(item, "arm"), *said)
