"""Whether a lock and a report belong to each other and to one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from tais.errors import Place, VerificationError
from tais.rundir.layout import ADJUDICATION, ITEMS, LOCK, REPORT
from tais.verdict.facts import Facts
from tais.verdict.report import Report

__all__ = ["check_together"]

Json = dict[str, Any]


def check_together(lock: Json, report: Json, files: Mapping[str, str], run_id: str) -> Report:
    """Check that a report was made under a lock, in the run that the lock was signed for.

    Parameters
    ----------
    lock, report
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
    for what in _mismatches(lock, report, read.facts, files, run_id):
        remedy = "Lock and report are not of one run: do not trust the directory"
        raise VerificationError(what, place=Place(REPORT), remedy=remedy)
    return read


def _mismatches(
    lock: Json, report: Json, facts: Facts, files: Mapping[str, str], run_id: str
) -> Iterator[str]:
    if lock.get("schema") != "tais/lock/v1":
        yield f"{LOCK} has an unknown schema"
    if ITEMS not in files:
        yield f"{ITEMS} is missing"
    if facts.lock.sha256 != files.get(LOCK):
        yield "the report was made under another lock"
    if facts.run.id != run_id:
        yield f"the lock was signed for the run {run_id[:60]!r}, the report is of another"
    for key in ("name", "rules"):
        if lock.get(key) != report[key]:
            yield f"the {key} of the lock and of the report differ"
    if _get(report, "adjudication", "file_sha256") != files.get(ADJUDICATION):
        yield f"the report and {ADJUDICATION} do not belong together"
    if _contrasts(lock) != _contrasts(report):
        yield "the contrasts of the lock and of the report differ"
    for arm in _arms(lock):
        if not any(name.startswith(f"arms/{arm}/") for name in files):
            yield f"the arm {arm!r} has no samples"


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _arms(lock: Json) -> list[str]:
    """Return the arms that have answers; a reference that only scores has none."""
    if lock.get("record"):
        return sorted(map(str, lock.get("arms", {})))
    listed = lock.get("contrasts")
    contrasts = listed if isinstance(listed, list) else []
    answering = {str(_get(c, "candidate")) for c in contrasts}
    return sorted(answering | {str(_get(c, "reference")) for c in contrasts if _get(c, "audit") != "only"})


def _contrasts(value: Json) -> list[tuple[str, str, str]]:
    listed = value.get("contrasts")
    if not isinstance(listed, list):
        return []
    return [tuple(str(_get(c, key)) for key in ("reference", "candidate", "role")) for c in listed]  # type: ignore[misc]
