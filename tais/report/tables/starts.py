"""What the fresh processes of one arm did, start by start; empty where every arm was started once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tais.common.text import one_line
from tais.records import EndpointKey
from tais.report.tables.table import WordTable
from tais.report.wording import NONE, percent
from tais.verdict.details import listed
from tais.verdict.details.screen import Starts, StartSeen
from tais.verdict.report import Report

__all__ = ["starts_tables"]

_NAME = 40


def starts_tables(report: Report) -> list[WordTable]:
    """Return one table for each arm that was started several times.

    Parameters
    ----------
    report
        A decided report.
    """
    return [_table(seen) for seen in listed(report, Starts) if seen.starts]


def _table(seen: Starts) -> WordTable:
    keys = list(dict.fromkeys(key for start in seen.starts for key in _rates(start)))
    ends = (one_line(key.name, _NAME) for key in keys)
    bound = (
        "" if seen.failed_upper is None else f", of all launches at most {percent(seen.failed_upper)} fail"
    )
    return WordTable(
        f"Starts of {one_line(seen.arm or '', _NAME)}{bound} (95 % upper bound)",
        ("start", "verdict", "answers as in the first", *ends),
        tuple(_rows(seen, keys)),
    )


def _rates(start: StartSeen) -> dict[EndpointKey, float | None]:
    return {EndpointKey(r.battery or "", r.stratum, r.scorer or ""): r.rate for r in start.rates}


def _rows(seen: Starts, keys: Sequence[EndpointKey]) -> Iterator[tuple[str, ...]]:
    for start in seen.starts:
        rates = _rates(start)
        compared = int(start.compared or 0)
        same = f"{int(start.identical or 0):,} of {compared:,}" if compared else NONE
        yield (
            one_line(start.arm or "", _NAME),
            start.verdict or NONE,
            same,
            *(percent(rates.get(key)) for key in keys),
        )
