"""Rows of a battery's source: csv, json, jsonl, parquet and yaml files.

Bytes are kept as they are: no normalisation, no stripping, no guessing of types in csv.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tais.battery.logs.layouts import LAYOUTS, read_log
from tais.common.jsonlines import (
    Row,
    _distinct,
    _no_constant,
    _refuse_bytes,
    parse_json_line,
    utf8_lines,
)
from tais.common.rendered import is_rendered
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["FORMATS", "RENDERED", "Rows", "format_of", "read_rows"]


FORMATS = {
    ".csv": "csv",
    ".eval": "inspect",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".yaml": "yaml",
    ".yml": "yaml",
}

RENDERED = "rendered_already"
"""Column of a log's rows: whether the prompt went through a chat template before it was logged."""

# Long-context prompts pass csv's default of 131,072 characters per field.
_CSV_FIELD_LIMIT = 1 << 27


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a source, with where each stands."""

    file: str
    unit: Literal["line", "row"]
    """What `numbers` count: lines of the file, or rows (both 1-based)."""
    numbers: tuple[int, ...]
    values: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the report should know of how they were read."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, in order of first appearance."""
        return tuple(dict.fromkeys(name for row in self.values for name in row))

    def place(self, index: int, key: str | None = None) -> Place:
        """Return where row `index` (0-based) stands."""
        number = self.numbers[index]
        if self.unit == "line":
            return Place(self.file, number, key)
        return Place(self.file, None, f"row {number}" + (f", {key}" if key else ""))


def format_of(path: Path) -> str | None:
    """Return the format that a file's ending stands for."""
    return FORMATS.get(path.suffix.lower())


def read_rows(path: Path, format: str | None = None, records: str | None = None) -> Rows:
    """Read all rows of a file.

    Parameters
    ----------
    path
        The file.
    format
        csv, json, jsonl, parquet or yaml; from the ending when None.
    records
        Key that holds the list of rows in a JSON or YAML file; dotted names go deeper.

    Raises
    ------
    ManifestError
        Missing, unreadable, not UTF-8, malformed, or without rows; with file and line.
    """
    format = format or format_of(path)
    if format is None:
        what = f"no battery format has the ending {path.suffix!r}"
        raise ManifestError(what, place=Place(str(path)), remedy=f"Say source.format: {', '.join(_READERS)}")
    try:
        rows = _READERS[format](path, records)
    except OSError as error:
        what = f"cannot read the source: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy="Check the path") from error
    if not rows.values:
        raise ManifestError("the source has no rows", place=Place(str(path)), remedy="Check the file")
    return rows


def _read_jsonl(path: Path, records: str | None) -> Rows:
    numbers, values = [], []
    for number, text in utf8_lines(path):
        numbers.append(number)
        values.append(parse_json_line(text, path, number))
    return Rows(str(path), "line", tuple(numbers), tuple(values))


def _read_json(path: Path, records: str | None) -> Rows:
    try:
        data = json.loads(_utf8(path), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = Place(str(path), error.lineno)
        raise ManifestError(f"broken JSON: {error.msg}", place=place, remedy="Mend the file") from error
    except (ValueError, RecursionError) as error:
        what = f"broken JSON: {first_line(error).rstrip('.')}"
        raise ManifestError(what, place=Place(str(path)), remedy="Mend the file") from error
    return _listed(path, data, records)


def _read_yaml(path: Path, records: str | None) -> Rows:
    from tais.common.yaml12 import load

    document = load(path)
    rows = _listed(path, document.data, records)
    root = tuple(records.split(".")) if records else ()
    lines = (document.line((*root, index)) or 1 for index in range(len(rows.values)))
    return replace(rows, unit="line", numbers=tuple(lines))


def _listed(path: Path, data: Any, records: str | None) -> Rows:
    for part in records.split(".") if records else ():
        if not isinstance(data, dict) or part not in data:
            keys = ", ".join(map(str, data)) if isinstance(data, dict) else "none"
            what = f"no key {part!r} in the source"
            raise ManifestError(what, place=Place(str(path), key=records), remedy=f"Keys there: {keys}")
        data = data[part]
    if not isinstance(data, list):
        what = f"the rows must be a list, not {type(data).__name__}"
        remedy = "Name the key that holds them in source.records"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy)
    for number, row in enumerate(data, start=1):
        if not isinstance(row, dict):
            what = f"a row must be an object, not {type(row).__name__}"
            raise ManifestError(what, place=Place(str(path), key=f"row {number}"), remedy="Mend the file")
    return Rows(str(path), "row", tuple(range(1, len(data) + 1)), tuple(data))


def _read_csv(path: Path, records: str | None) -> Rows:
    text = _utf8(path)
    limit = csv.field_size_limit(_CSV_FIELD_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_header(path, header)
        numbers, values = [], []
        while True:
            start = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                break
            if not row:
                continue
            if len(row) != len(header):
                what = f"{len(row)} fields where the header has {len(header)}"
                raise ManifestError(
                    what, place=Place(str(path), start), remedy="Quote fields that hold commas"
                )
            numbers.append(start)
            values.append(dict(zip(header, row, strict=True)))
    except csv.Error as error:
        place = Place(str(path), reader.line_num)
        raise ManifestError(f"broken csv: {error}", place=place, remedy="Mend the file") from error
    finally:
        csv.field_size_limit(limit)
    return Rows(str(path), "line", tuple(numbers), tuple(values))


def _check_header(path: Path, header: list[str]) -> None:
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        what = f"the header names column {min(repeated)!r} twice"
        raise ManifestError(what, place=Place(str(path), 1), remedy="Rename one of them")


def _read_parquet(path: Path, records: str | None) -> Rows:
    import pyarrow
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        try:
            values = pq.read_table(file).to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            what = f"broken parquet: {first_line(error).rstrip('.')}"
            raise ManifestError(what, place=Place(str(path)), remedy="Fetch the file again") from error
    return Rows(str(path), "row", tuple(range(1, len(values) + 1)), tuple(values))


def _read_log(path: Path, records: str | None, *, layout: str) -> Rows:
    """Return what a log of another tool asked, as rows of a battery."""
    numbers: list[int] = []
    values: list[Row] = []
    left: Counter[str] = Counter()
    for sample in read_log(path, layout):
        if sample.repeat:
            continue
        if sample.unaskable is not None:
            left[sample.unaskable] += 1
            continue
        turns = sample.prompt
        prompt = turns if turns is None or isinstance(turns, str) else [turn._asdict() for turn in turns]
        numbers.append(sample.line or len(values) + 1)
        told = {"id": sample.item_id, "prompt": prompt, "target": sample.target}
        values.append({**sample.columns, **told, RENDERED: isinstance(prompt, str) and is_rendered(prompt)})
    reasons = "; ".join(f"{count}: {reason}" for reason, count in left.most_common())
    if not values:
        what, remedy = f"the log asks nothing that can be asked again ({reasons})", "Name another source"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy)
    lines = path.suffix not in (".eval", ".json")
    notes = (f"{left.total()} samples of the log cannot be asked again as text ({reasons})",) if left else ()
    return Rows(str(path), "line" if lines else "row", tuple(numbers), tuple(values), notes)


_READERS: dict[str, Callable[[Path, str | None], Rows]] = {
    "csv": _read_csv,
    "json": _read_json,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "yaml": _read_yaml,
    **{name: partial(_read_log, layout=name) for name in LAYOUTS},
}


def _utf8(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_bytes(path, raw.count(b"\n", 0, error.start) + 1, error)
