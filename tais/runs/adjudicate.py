"""`tais adjudicate`: labels of people joined to a run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.adjudication.cases import Shown
from tais.adjudication.labels import LabelFile, read_labels
from tais.adjudication.record import Record
from tais.adjudication.sheet import Key, check_source, shown_of
from tais.analysis.analyse import Analysis
from tais.common.files import json_digest, read_ordinary, write_atomic
from tais.common.machine import package_versions
from tais.errors import Place, UsageError, VerificationError
from tais.manifest.rules_version import RULES_VERSION
from tais.report.redact import holds_redacted
from tais.rundir.copying import copy_folder
from tais.rundir.layout import RunDir
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock, ManifestSource
from tais.runs.derive import Part, cite, derive
from tais.verdict.report import Report

if TYPE_CHECKING:
    from tais.attest import Signer

__all__ = ["adjudicate", "find_key"]


def find_key(labels: Path) -> Path:
    """Return the one key file that lies beside a file of labels.

    Raises
    ------
    UsageError
        When there is none, or several.
    """
    found = sorted(labels.resolve().parent.glob("*.key.json"))
    if len(found) != 1:
        what = f"{'no' if not found else len(found)} key files (*.key.json) lie beside the labels"
        raise UsageError(what, place=Place(str(labels)), remedy="Name the one of the sheet with --sheet-key")
    return found[0]


def adjudicate(
    run_dir: Path,
    labels: Sequence[Path],
    key_file: Path,
    out: Path,
    *,
    signer: Signer | None = None,
    verified: bool = False,
) -> tuple[Path, Report]:
    """Take labels back and write the run directory that cites them.

    Parameters
    ----------
    run_dir
        The run that was exported; it stays as it is.
    labels
        Sheets that were filled in, one per person.
    key_file
        What `export` wrote beside the sheet.
    out
        Where the new run directory goes.
    signer
        Signs it; None leaves it unsigned.
    verified
        Whether the caller verified the run; the lock says so.

    Returns
    -------
    (Path, Report)
        The new directory and its report: the same decision, with what people said.

    Raises
    ------
    UsageError
        When key, run and labels do not belong together, or a label is none.
    VerificationError
        When the samples do not lead to the verdict of the run's own report.
    """
    check_source(run_dir)
    key = _read_key(key_file)
    shown = shown_of(run_dir, key)
    files = _read_all(labels, shown)
    record = Record(key, {**cite(run_dir), "verified": verified}, files)
    return _write(run_dir, record, out, signer)


def _read_all(paths: Sequence[Path], shown: Shown) -> list[LabelFile]:
    # Two people may say the same of everything; one file given twice would be one person twice.
    for index, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:index]]:
            remedy = "Give each person's labels once"
            raise UsageError("these labels are given twice", place=Place(str(path)), remedy=remedy)
    return [read_labels(path, shown) for path in paths]


def _read_key(path: Path) -> Key:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        remedy = "Name the key file that was written beside the sheet"
        raise UsageError("this key cannot be read", place=Place(str(path)), remedy=remedy) from error
    return Key.parse(value, str(path))


def _write(run_dir: Path, record: Record, out: Path, signer: Signer | None) -> tuple[Path, Report]:
    run, before, data = RunDir(run_dir), read_lock(run_dir), record.to_json()
    stored = Report.parse(read_ordinary(run.report), str(run.report)).verdict
    digest = {"sha256": hashlib.sha256(data).hexdigest(), "raters": len(record.files)}
    source = {"adjudicate": {**record.source, "labels": digest}}
    new = before.model_copy(
        update={
            "name": f"{before.name}-adjudicated"[:100],
            "manifest": ManifestSource(sha256=json_digest(source), source=source),
            "versions": package_versions(),
            "rules_version": RULES_VERSION,
        }
    )

    def bring(made: RunDir) -> None:
        # The scores of an audit and the replies of judges decide too.
        for old, copy in ((run.audits, made.audits), (run.judges, made.judges)):
            if old.exists():
                copy_folder(run.root, old, copy)
        write_atomic(made.adjudication, data)

    def check(made: RunDir, lock: Lock, analysis: Analysis) -> None:
        verdict = analysis.report.verdict.value
        if verdict != stored:
            shutil.rmtree(made.root)
            what = f"the samples lead to {verdict}, the report says {stored}"
            remedy = before.rules_changed or "Verify the run; another version of TAIS may decide otherwise"
            raise VerificationError(what, place=Place(str(run_dir)), remedy=remedy)

    return derive(
        out,
        new,
        run_dir,
        [Part(run_dir, arm, arm) for arm in before.run_arms()],
        add=bring,
        finish=check,
        signer=signer,
        redact=holds_redacted(run.report),
    )
