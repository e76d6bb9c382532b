"""Whether a lock and a report belong to each other and to one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from tais.attest.bundle import Json, strict_json
from tais.errors import Place, StoreError, VerificationError
from tais.rundir.layout import ADJUDICATION, ITEMS, LOCK, REPORT
from tais.rundir.lock import parse_lock
from tais.rundir.lock_model import Lock
from tais.verdict.report import Report

__all__ = ["check_together", "signed_lock"]


def signed_lock(data: bytes, file: str) -> Lock:
    """Read the bytes of a lock whose digest was signed.

    Raises
    ------
    VerificationError
        When they are no lock that TAIS writes.
    """
    # It says more of what is no JSON.
    strict_json(data, file)
    try:
        return parse_lock(data, file)
    except StoreError as error:
        raise VerificationError(f"{LOCK}: {error.what}", place=error.place) from error


def check_together(lock: Lock, report: Json, files: Mapping[str, str], run_id: str) -> Report:
    """Check that a report was made under a lock, in the run that the lock was signed for.

    Parameters
    ----------
    lock
        As read.
    report
        As parsed.
    files
        sha256 of the run's files, by name.
    run_id
        Run that the lock's own bundle names.

    Returns
    -------
    Report
        The report, read.

    Raises
    ------
    VerificationError
        For the first thing that does not fit.
    """
    try:
        read = Report.model_validate(report)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = Place(REPORT, key=".".join(map(str, first["loc"])) or None)
        raise VerificationError(f"this is no report of this version: {first['msg']}", place=where) from error
    for what in _mismatches(lock, read, report, files, run_id):
        remedy = "Lock and report are not of one run: do not trust the directory"
        raise VerificationError(what, place=Place(REPORT), remedy=remedy)
    return read


def _mismatches(
    lock: Lock, read: Report, report: Json, files: Mapping[str, str], run_id: str
) -> Iterator[str]:
    facts = read.facts
    if ITEMS not in files:
        yield f"{ITEMS} is missing"
    if facts.lock.sha256 != files.get(LOCK):
        yield "the report was made under another lock"
    if facts.run.id != run_id:
        yield f"the lock was signed for the run {run_id[:60]!r}, the report is of another"
    # By value: what older rules wrote lacks the keys that came later, and means their defaults.
    rules = (side.rules.model_dump(mode="json") for side in (lock, read))
    for key, differs in (("name", lock.name != read.name), ("rules", next(rules) != next(rules))):
        if differs:
            yield f"the {key} of the lock and of the report differ"
    if _get(report, "adjudication", "file_sha256") != files.get(ADJUDICATION):
        yield f"the report and {ADJUDICATION} do not belong together"
    sides = [[(c.reference, c.candidate, c.role) for c in one.contrasts] for one in (lock, read)]
    if sides[0] != sides[1]:
        yield "the contrasts of the lock and of the report differ"
    for arm in lock.run_arms():
        if not any(name.startswith(f"arms/{arm}/") for name in files):
            yield f"the arm {arm!r} has no samples"


def _get(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
