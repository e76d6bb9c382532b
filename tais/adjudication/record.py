"""Labels that came back, as a run directory of its own that cites the run they are about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tais.adjudication.cases import Shown, collect
from tais.adjudication.count import count_flips, count_raters, count_raters_between, panel
from tais.adjudication.labels import LABELS, LabelFile
from tais.adjudication.sheet import Key, row_secret
from tais.common.files import read_ordinary
from tais.errors import Place, StoreError, UsageError
from tais.rundir.items import StoredItem
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.verdict.adjudication import AdjudicationReport
from tais.verdict.report import Report

__all__ = ["Record", "with_adjudication"]

_SCHEMA = "tais/adjudication/v1"


@dataclass(frozen=True, slots=True)
class Record:
    """adjudication.json."""

    key: Key
    source: Mapping[str, object]
    files: Sequence[LabelFile]

    def to_json(self) -> bytes:
        """Return the file."""
        value = {
            "schema": _SCHEMA,
            "source": dict(self.source),
            # The labels are in: from here on the key is public, so that anyone can count again.
            "key": json.loads(self.key.to_json()),
            "raters": [{"file_sha256": file.sha256, "labels": file.labels} for file in self.files],
        }
        return json.dumps(value, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> tuple[Record, str]:
        """Return the record of a run directory, and its sha256."""
        try:
            data = read_ordinary(path)
            value = json.loads(data)
            files = [LabelFile(str(r["file_sha256"]), dict(r["labels"])) for r in value["raters"]]
            if value["schema"] != _SCHEMA or not all(set(f.labels.values()) <= set(LABELS) for f in files):
                raise ValueError("not this schema")
            record = cls(Key.parse(value["key"], str(path)), dict(value["source"]), files)
        except (OSError, LookupError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise StoreError("these labels are damaged", place=Place(str(path))) from error
        return record, hashlib.sha256(data).hexdigest()


def with_adjudication(
    report: Report,
    run: RunDir,
    lock: Lock,
    scores: Path,
    items: Mapping[tuple[str, str], StoredItem],
) -> Report:
    """Return the report with what people said, counted from the labels in the run directory.

    Raises
    ------
    StoreError
        When the labels are damaged, or of answers that are not in the run.
    """
    record, digest = Record.read(run.adjudication)
    secret = row_secret(record.key)
    shown = collect(run, lock, scores, items, record.key.selection, secret)
    _check_rows(record, shown, run)
    counted = AdjudicationReport(
        file_sha256=digest,
        source_run=record.key.run,
        source_report_sha256=record.key.report_sha256,
        answers=len(shown.answers),
        raters=tuple(count_raters(shown, record.files)),
        between=tuple(count_raters_between(record.files)),
        flips=tuple(count_flips(shown, panel(record.files))),
    )
    return report.model_copy(update={"adjudication": counted})


def _check_rows(record: Record, shown: Shown, run: RunDir) -> None:
    for file in record.files:
        unknown = sorted(file.labels.keys() - shown.answers.keys())
        if unknown:
            what = f"{len(unknown)} labels are of answers that are not in this run"
            raise StoreError(what, place=Place(str(run.adjudication), key=unknown[0][:40]))
