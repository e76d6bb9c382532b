"""A run directory made from finished ones, with copies of their samples.

What is signed is never written again, so whatever is added to a run (a comparison with another, what
people say about its answers) is a run of its own that cites its sources by digest: report, verify and
gate treat it as any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.analysis.analyse import analyse
from tais.common.files import sha256_file, store_error, write_atomic
from tais.report.redact import redacted
from tais.report.render import write_views
from tais.rundir.layout import LEDGER, LOCK, REPORT
from tais.rundir.ledger import append
from tais.rundir.lock import write_lock
from tais.verdict.facts import LedgerFacts, RunFacts, facts_of
from tais.verdict.report import Report

if TYPE_CHECKING:
    from tais.attest import Signer

__all__ = ["Part", "cite", "derive"]


@dataclass(frozen=True, slots=True)
class Part:
    """An arm as it comes along."""

    run_dir: Path
    arm: str
    name: str
    """Name in the new run."""


def cite(run_dir: Path) -> dict[str, str]:
    """Return the name of a run and the sha256 of its lock and report."""
    digests = {name: sha256_file(run_dir / name) for name in (LOCK, REPORT)}
    return {"run": run_dir.resolve().name, **digests}


def derive(
    out: Path,
    lock: Mapping[str, Any],
    items_from: Path,
    parts: Iterable[Part],
    *,
    add: Callable[[Path], None] | None = None,
    finish: Callable[[Path, Report], None] | None = None,
    signer: Signer | None = None,
    redact: bool = False,
) -> tuple[Path, Report]:
    """Write a run directory from parts of others, decide it and sign it.

    Parameters
    ----------
    out
        Where it goes: ``out/<name of the lock>/<id>``.
    lock
        Its lock. It is signed before the first sample is there.
    items_from
        Run whose items were asked. The new run is as old as this one: deciding again makes nothing newer.
    parts
        Arms to copy.
    add
        Writes what else the decision reads; called before it, with the new directory.
    finish
        Writes files beside the report; called with directory and decision.
    signer
        None leaves it unsigned.
    redact
        Leave prompts and answers out of the report.

    Returns
    -------
    (Path, Report)
        The new run directory and its report.

    Raises
    ------
    StoreError
        When a source cannot be read, or the new run not written.
    """
    started = datetime.now(UTC)
    parent = out / str(lock["name"])
    run_dir = parent / f"{started:%Y%m%dT%H%M%S%fZ}"
    try:
        digest = _copy(run_dir, lock, items_from, parts, signer)
    except OSError as error:
        raise store_error(error, run_dir) from error
    entry = {"run": run_dir.name, "manifest": lock["manifest"]["sha256"], "lock": digest}
    line = append(parent / LEDGER, {"event": "start", "time": _now(), **entry})
    if add is not None:
        add(run_dir)
    report = analyse(run_dir, _facts(run_dir, items_from, started, line), keep_scores=True)
    if finish is not None:
        finish(run_dir, report)
    report = redacted(report) if redact else report
    write_views(report, run_dir)
    # Last of all, as in any run: a directory with a report is a finished one.
    write_atomic(run_dir / REPORT, report.to_json().encode())
    append(parent / LEDGER, {"event": "end", "time": _now(), **entry, "outcome": report.verdict.value})
    if signer is not None:
        from tais.attest import sign_run

        sign_run(run_dir, signer)
    return run_dir, report


def _copy(
    run_dir: Path, lock: Mapping[str, Any], items_from: Path, parts: Iterable[Part], signer: Signer | None
) -> str:
    (run_dir / "arms").mkdir(parents=True)
    (run_dir / "logs").mkdir()
    shutil.copyfile(items_from / "items.parquet", run_dir / "items.parquet")
    digest = write_lock(run_dir / LOCK, lock)
    if signer is not None:
        from tais.attest import sign_lock

        sign_lock(run_dir, signer)
    for part in parts:
        shutil.copytree(part.run_dir / "arms" / part.arm, run_dir / "arms" / part.name)
    return digest


def _facts(run_dir: Path, source: Path, started: datetime, line: str) -> RunFacts:
    return RunFacts(
        id=run_dir.name,
        started=started.isoformat(timespec="seconds"),
        ended=facts_of((source / REPORT).read_bytes()).run.ended,
        resumed=False,
        ledger=LedgerFacts(file=LEDGER, line=line, attempts=()),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
