"""The tables of the false-alarm study in docs/conformance.md, from the stored outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from scipy.stats import binom

from tais.stats.proportions import clopper_pearson

__all__ = ["write_tables"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
_LAW = ("law_not_followed", "law_excludes_tokens")
_LEVELS = (0.05, 0.01)
_GROUP = ("engine", "dtype", "model", "temperature", "only")

Row = dict[str, Any]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _upper(events: int, n: int) -> str:
    """Say the one-sided 95 % upper bound of a rate (Clopper and Pearson)."""
    return f"{100 * float(clopper_pearson(events, n, 0.9)[1]):.2f} %" if n else "-"


def _of(row: Row, keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[key] for key in keys)


def _by(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(_of(row, keys), []).append(row)
    return found


def _endpoint_failed(row: Row) -> bool:
    return bool(row["endpoints_failed"])


def _other_failed(row: Row) -> bool:
    return any(code not in _LAW for code in row["codes"].split(",") if code)


def _law_failed(row: Row) -> bool:
    return any(code in _LAW for code in row["codes"].split(","))


def _how(temperature: float, *, only: bool) -> str:
    return f"{'sampled' if temperature else 'greedy'}, {'audited alone' if only else 'matched'}"


def honest_table(rows: Sequence[Row]) -> str:
    """Honest arms by stack: what differed, and what failed."""
    lines = []
    for key, own in _by(rows, ("engine", "dtype", "temperature", "only")).items():
        engine, dtype, temperature, only = key
        differing = sum(row["answers"] - row["identical"] for row in own)
        missed = f"{sum(row['misses'] for row in own):,} of {sum(row['tokens'] for row in own):,}"
        counts = [sum(map(failed, own)) for failed in (_endpoint_failed, _other_failed, _law_failed)]
        lines.append(
            [
                f"{engine} {dtype}",
                _how(temperature, only=only),
                str(len(own)),
                "-" if only else f"{differing:,} of {sum(row['answers'] for row in own):,}",
                "-" if temperature else missed,
                *map(str, counts),
            ]
        )
    head = ["stack", "how", "arms decided", "answers that differ", "tokens not the reference's best"]
    return _table([*head, "endpoint fails", "structural fails", "token law fails"], lines)


def bounds_table(rows: Sequence[Row]) -> str:
    """All honest arms together, and what they are worth as independent evidence."""
    units: dict[str, Sequence[str]] = {
        "decisions (reference x candidate x items)": (*_GROUP, "reference", "candidate", "repeat", "part"),
        "sets of answers (candidate x items)": (*_GROUP, "candidate", "repeat", "part"),
        "stacks (candidate arms)": (*_GROUP, "candidate"),
        "groups (model, engine, dtype, temperature, audit)": _GROUP,
    }
    lines = []
    for name, keys in units.items():
        own = _by(rows, keys).values()
        cells = []
        for failed in (_endpoint_failed, _other_failed):
            events = sum(any(map(failed, unit)) for unit in own)
            cells += [f"{events} of {len(own):,}", _upper(events, len(own))]
        lines.append([name, *cells])
    return _table(["unit", "endpoint fails", "95 % bound", "structural fails", "95 % bound"], lines)


def law_table(rows: Sequence[Row]) -> str:
    """Token tests of honest arms against their level."""
    lines = []
    tested = [row for row in rows if row["law_p"] is not None]
    for only in (True, False):
        own = [row for row in tested if row["only"] is only]
        if not own:
            continue
        cells = []
        for level in _LEVELS:
            events = sum(row["law_p"] < level for row in own)
            cells += [f"{events} of {len(own)}", f"{float(binom.sf(events - 1, len(own), level)):.3f}"]
        lines.append([_how(1.0, only=only), *cells])
    if not lines:
        return "No sampled arm has been decided so far."
    head = ["how"]
    for level in _LEVELS:
        head += [f"p < {level:g}", "chance of so many at that level"]
    return _table(head, lines)


def planted_table(rows: Sequence[Row]) -> str:
    """Arms in which some answers are the draft's own."""
    lines = []
    for key, own in _by(rows, ("engine", "dtype", "temperature", "only", "planted")).items():
        engine, dtype, temperature, only, share = key
        failed = sum(row["verdict"] == "fail" for row in own)
        passed = sum(row["verdict"] == "pass" for row in own)
        where = [f"{engine} {dtype}", _how(temperature, only=only), f"{100 * share:g} %"]
        lines.append([*where, f"{failed} of {len(own)}", f"{passed} of {len(own)}"])
    return _table(["stack", "how", "answers planted", "fail", "pass"], lines)


def _tables(honest: Sequence[Row], planted: Sequence[Row]) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "honest", lambda: honest_table(honest)
    yield "honest-bounds", lambda: bounds_table(honest)
    yield "honest-law", lambda: law_table(honest)
    yield "honest-planted", lambda: planted_table(planted)


def write_tables(honest: Path, planted: Path, *, check: bool) -> int:
    """Write the tables between their markers; with `check` only say whether they are up to date."""
    old = text = DOCUMENT.read_text(encoding="utf-8")
    rows = pq.read_table(honest).to_pylist(), pq.read_table(planted).to_pylist()
    for name, make in _tables(*rows):
        start, end = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
        before, rest = text.split(start)
        text = f"{before}{start}\n{make()}\n{end}{rest.split(end)[1]}"
    if not check:
        DOCUMENT.write_text(text, encoding="utf-8")
    return int(check and text != old)
