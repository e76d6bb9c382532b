"""A file of labels that somebody filled in: read strictly, whatever a spreadsheet made of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tais.adjudication.cases import Shown
from tais.common.files import store_error
from tais.errors import Place, UsageError

__all__ = ["LABELS", "LabelFile", "read_labels"]

LABELS = ("expected", "not_expected", "unsure")

_MAX_BYTES = 256 << 20
_MAX_CELL = 1 << 20
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class LabelFile:
    """What one person said."""

    sha256: str
    labels: dict[str, str]
    """By row, sorted; rows left empty are not here."""


def read_labels(path: Path, shown: Shown) -> LabelFile:
    """Read a sheet that came back, CSV or JSON lines.

    Parameters
    ----------
    path
        Its columns ``row`` and ``label`` count; others may be changed or gone.
    shown
        What was asked: the rows that exist.

    Raises
    ------
    UsageError
        With the line of a row that was never asked, is there twice, or has another label than the three.
    StoreError
        When it cannot be read.
    """
    import hashlib

    data = _bytes(path)
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for line, row, said in _rows(data, path):
        where = Place(str(path), line)
        if row not in shown.answers:
            remedy = "Label the sheet that was exported from this very run"
            raise UsageError(f"this run has no row {row[:40]!r}", place=where, remedy=remedy)
        if row in seen:
            raise UsageError(f"the row {row!r} is there twice", place=where, remedy="Keep one of them")
        seen.add(row)
        label = "_".join(said.replace("-", " ").replace("_", " ").casefold().split())
        if label and label not in LABELS:
            raise UsageError(f"no label {said[:40]!r}", place=where, remedy=f"Labels: {', '.join(LABELS)}")
        if label:
            labels[row] = label
    if not labels:
        remedy = f"Write one of {', '.join(LABELS)} into the column label"
        raise UsageError("no answer is labelled", place=Place(str(path)), remedy=remedy)
    return LabelFile(hashlib.sha256(data).hexdigest(), dict(sorted(labels.items())))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise store_error(error, path) from error
    if len(data) > _MAX_BYTES:
        raise UsageError(
            f"larger than {_MAX_BYTES >> 20} MB", place=Place(str(path)), remedy="Is it a sheet?"
        )
    return data


def _rows(data: bytes, path: Path) -> Iterator[tuple[int, str, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("not UTF-8", place=Place(str(path)), remedy="Save it as CSV UTF-8") from error
    rows = _json_rows(text, path) if path.suffix == ".jsonl" else _csv_rows(text, path)
    for line, row in rows:
        values = [row.get(name) for name in ("row", "label")]
        if values[0] is None or not all(isinstance(value, str | None) for value in values):
            remedy = "Each has a row and a label"
            raise UsageError("this is no row of a sheet", place=Place(str(path), line), remedy=remedy)
        yield line, str(values[0]).strip(), str(values[1] or "")


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line, entry in enumerate(text.split("\n"), start=1):
        if entry.strip():
            try:
                value = json.loads(entry)
            except (ValueError, RecursionError) as error:
                raise UsageError("this line is no JSON", place=Place(str(path), line)) from error
            yield line, value if isinstance(value, dict) else {}


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    before = csv.field_size_limit(_MAX_CELL)
    try:
        first = text.split("\n", 1)[0]
        # A spreadsheet saves with the separator of its user's country.
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = reader.fieldnames or []
        if not {"row", "label"} <= set(names):
            remedy = "Keep the first line of the sheet as it was exported"
            raise UsageError("there are no columns row and label", place=Place(str(path), 1), remedy=remedy)
        for row in reader:
            if any(value for value in row.values()):
                yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(
            f"this is no CSV: {error}", place=Place(str(path)), remedy="Save it as CSV"
        ) from error
    finally:
        csv.field_size_limit(before)
