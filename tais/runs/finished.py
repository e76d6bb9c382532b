"""A run that was finished before: its report is shown and signed only where its samples lead to it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from tais.attest import Signer, verify_run
from tais.common.files import read_ordinary, sha256_file
from tais.errors import Place, VerificationError
from tais.report.render import FILES
from tais.rundir.layout import RUN_BUNDLE, SCORES, SECOND_SCORES, UPGRADE, RunDir
from tais.rundir.ledger import attempts_at
from tais.rundir.lock import read_lock
from tais.verdict.facts import Attempt
from tais.verdict.report import Report

__all__ = ["vouched"]

_REMEDY = "Remove report.json and continue with --resume: the report is then made again from the samples"


def vouched(run_dir: Path, signer: Signer | None) -> Report:
    """Return the report of a finished run, having shown that it is what TAIS made of the samples.

    Between the end of a run and its signature, or before somebody asks for the exit code again, anybody
    who may write there could have edited it.

    Parameters
    ----------
    run_dir
        The run directory.
    signer
        Who is going to sign it, or has; None where nobody signs.

    Raises
    ------
    VerificationError
        When a signed run does not verify, or the samples do not lead to an unsigned one's report.
    """
    run = RunDir(run_dir)
    if signer is not None and (run_dir / RUN_BUNDLE).exists():
        return verify_run(run_dir, [signer.public]).report
    # Loads scorers and statistics, which a run that is signed does without.
    from tais.attest.recompute import check_recomputed

    lock = read_lock(run_dir)
    try:
        value = json.loads(read_ordinary(run.report))
        report = Report.model_validate(value)
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise VerificationError(
            "this report cannot be read", place=Place(str(run.report)), remedy=_REMEDY
        ) from error
    if lock.rules_changed:
        if signer is not None:
            what = f"{lock.rules_changed}: nothing shows here that the samples lead to this report"
            raise VerificationError(
                what, place=Place(str(run_dir)), remedy="Sign it with the TAIS that made it"
            )
        return report
    names = [name for name in (SCORES, SECOND_SCORES, UPGRADE, *FILES.values()) if (run_dir / name).is_file()]
    check_recomputed(run_dir, lock, value, {name: sha256_file(run_dir / name) for name in names})
    _check_ledger(run, report, lock.manifest.sha256)
    return report


def _check_ledger(run: RunDir, report: Report, manifest: str) -> None:
    """Raise VerificationError unless the report counts the attempts of the ledger: no sample shows them."""
    told = report.facts.run.ledger
    if report.facts.run.id != run.id or told is None or told.line is None:
        what = f"the report is of the run {report.facts.run.id!r}"
        raise VerificationError(what, place=Place(str(run.report)), remedy=_REMEDY)
    found = attempts_at(run.ledger, told.line, manifest, told.asked)
    if found is None or tuple(map(Attempt.model_validate, found)) != told.attempts:
        what = "the report tells other attempts than the ledger"
        raise VerificationError(what, place=Place(str(run.report)), remedy=_REMEDY)
