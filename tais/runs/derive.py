"""A run directory made from finished ones, with copies of their samples.

What is signed is never written again, so whatever is added to a run (a comparison with another, what
people say about its answers) is a run of its own that cites its sources by digest: report, verify and
gate treat it as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tais.analysis.analyse import Analysis, examine
from tais.attest import Signer, sign_lock, sign_run
from tais.common.files import read_ordinary, sha256_file, store_error, write_atomic
from tais.report.redact import redacted
from tais.report.render import write_views
from tais.report.renderer import with_renderer
from tais.rundir.copying import copy_file, copy_folder
from tais.rundir.layout import LEDGER, LOCK, REPORT, RunDir
from tais.rundir.ledger import append
from tais.rundir.lock import read_lock, write_lock
from tais.rundir.lock_model import Lock
from tais.verdict.facts import LedgerFacts, RunFacts, facts_of
from tais.verdict.report import Report

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
    run = RunDir(run_dir)
    return {"run": run.id, LOCK: sha256_file(run.lock), REPORT: sha256_file(run.report)}


def derive(
    out: Path,
    lock: Lock,
    items_from: Path,
    parts: Iterable[Part],
    *,
    add: Callable[[RunDir], None] | None = None,
    finish: Callable[[RunDir, Lock, Analysis], None] | None = None,
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
        Writes files beside the report; called with directory, lock and decision.
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
    run = RunDir(out / lock.name / f"{started:%Y%m%dT%H%M%S%fZ}")
    try:
        digest = _copy(run, lock, items_from, parts, signer)
    except OSError as error:
        raise store_error(error, run.root) from error
    entry = {"run": run.id, "manifest": lock.manifest.sha256, "lock": digest}
    line = append(run.ledger, {"event": "start", "time": _now(), **entry})
    if add is not None:
        add(run)
    # As everybody will read it from now on.
    fixed = read_lock(run.root)
    made = examine(run, fixed, _facts(run, items_from, started, line), run.scores)
    if finish is not None:
        finish(run, fixed, made)
    report = _written(run, made.report, redact=redact)
    append(run.ledger, {"event": "end", "time": _now(), **entry, "outcome": report.verdict.value})
    if signer is not None:
        sign_run(run.root, signer)
    return run.root, report


def _written(run: RunDir, decided: Report, *, redact: bool) -> Report:
    report = with_renderer(decided)
    report = redacted(report) if redact else report
    write_views(report, run.root)
    # Last of all, as in any run: a directory with a report is a finished one.
    write_atomic(run.report, report.to_json().encode())
    return report


def _copy(run: RunDir, lock: Lock, items_from: Path, parts: Iterable[Part], signer: Signer | None) -> str:
    run.make()
    copy_file(items_from, RunDir(items_from).items, run.items)
    digest = write_lock(run.root, lock)
    if signer is not None:
        sign_lock(run.root, signer)
    for part in parts:
        source = RunDir(part.run_dir)
        copy_folder(source.root, source.arm(part.arm), run.arm(part.name))
        if lock.probes is not None and part.name in lock.probes.arms:
            copy_folder(source.root, source.probe(part.arm), run.probe(part.name))
    return digest


def _facts(run: RunDir, source: Path, started: datetime, line: str) -> RunFacts:
    report = RunDir(source).report
    return RunFacts(
        id=run.id,
        started=started.isoformat(timespec="seconds"),
        ended=facts_of(read_ordinary(report), str(report)).run.ended,
        resumed=False,
        ledger=LedgerFacts(file=LEDGER, line=line, attempts=()),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
