"""Rows of a battery's source: text, tables, JSON, YAML and parquet, packed or not.

Bytes are kept as they are: no normalisation, no stripping, no guessing of types in csv.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tais.battery.layouts import PROMPT, rows_of, to_row
from tais.battery.logs.layouts import LAYOUTS, find_layout, nearest_layouts, read_log, says_log
from tais.battery.tables import Reading, Table, read_separated, read_workbook
from tais.common.jsonlines import (
    Row,
    _distinct,
    _no_constant,
    _refuse_bytes,
    parse_json_value,
    utf8_lines,
)
from tais.common.packed import PACKED, UNREADABLE, open_unpacked, remedy_for, unpacked_name
from tais.common.rendered import is_rendered
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["ENDINGS", "FORMATS", "RENDERED", "Reading", "Rows", "format_of", "read_rows"]


FORMATS = {
    ".csv": "csv",
    ".eval": "inspect",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".tsv": "tsv",
    ".txt": "txt",
    ".xlsx": "xlsx",
    ".yaml": "yaml",
    ".yml": "yaml",
}

RENDERED = "rendered_already"
"""Column of a log's rows: whether the prompt went through a chat template before it was logged."""

ENDINGS = (*FORMATS, *(f"{ending}{packed}" for ending in FORMATS for packed in PACKED))
"""All endings that a file of rows may have."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a source, with where each stands."""

    file: str
    unit: Literal["line", "row"]
    """What `numbers` count: lines of the file, or rows (both 1-based)."""
    numbers: tuple[int, ...]
    values: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """What was decided that the battery did not say."""

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
    """Return the format that a file's ending stands for, the one before ``.gz`` and the like."""
    return FORMATS.get(unpacked_name(path).suffix.lower())


def read_rows(path: Path, format: str | None = None, how: Reading | None = None) -> Rows:
    """Read all rows of a file.

    Parameters
    ----------
    path
        The file; packed where its last ending is one of :data:`tais.common.packed.PACKED`.
    format
        One of :data:`FORMATS`; from the ending when None.
    how
        What the battery says of it.

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
        rows = _READERS[format](path, how or Reading())
    except UNREADABLE as error:
        what = f"cannot read the source: {getattr(error, 'strerror', None) or first_line(error)}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy_for(error)) from error
    if not rows.values:
        raise ManifestError("the source has no rows", place=Place(str(path)), remedy="Check the file")
    return rows


def _read_jsonl(path: Path, how: Reading) -> Rows:
    numbers, values = [], []
    for number, text in utf8_lines(path):
        numbers.append(number)
        try:
            values.append(to_row(parse_json_value(text, path, number)))
        except ValueError as error:
            raise ManifestError(str(error), place=Place(str(path), number), remedy=_ONE_PER_LINE) from error
    return Rows(str(path), "line", tuple(numbers), tuple(values))


_ONE_PER_LINE = "One object, text or chat per line"


def _read_text(path: Path, how: Reading) -> Rows:
    """One prompt per line; blank lines are left out."""
    lines = list(utf8_lines(path))
    values = tuple({PROMPT: text} for _, text in lines)
    return Rows(str(path), "line", tuple(number for number, _ in lines), values)


def _read_json(path: Path, how: Reading) -> Rows:
    try:
        data = json.loads(_utf8(path), object_pairs_hook=_distinct, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and how.records is None:
            # Many a data set calls its lines of JSON a JSON file.
            return _read_jsonl(path, how)
        place = Place(str(path), error.lineno)
        raise ManifestError(f"broken JSON: {error.msg}", place=place, remedy="Mend the file") from error
    except (ValueError, RecursionError) as error:
        what = f"broken JSON: {first_line(error).rstrip('.')}"
        raise ManifestError(what, place=Place(str(path)), remedy="Mend the file") from error
    return _listed(path, _below(path, data, how.records), how)


def _read_yaml(path: Path, how: Reading) -> Rows:
    from tais.common.yaml12 import load

    document = load(path)
    data = _below(path, document.data, how.records)
    rows = _listed(path, data, how)
    if not isinstance(data, list):
        return rows
    root = tuple(how.records.split(".")) if how.records else ()
    lines = (document.line((*root, index)) or 1 for index in range(len(rows.values)))
    return replace(rows, unit="line", numbers=tuple(lines))


def _below(path: Path, data: Any, records: str | None) -> Any:
    """Return what stands under a dotted key."""
    for part in records.split(".") if records else ():
        if not isinstance(data, dict) or part not in data:
            keys = ", ".join(map(str, data)) if isinstance(data, dict) else "none"
            what = f"no key {part!r} in the source"
            raise ManifestError(what, place=Place(str(path), key=records), remedy=f"Keys there: {keys}")
        data = data[part]
    return data


def _listed(path: Path, data: Any, how: Reading) -> Rows:
    try:
        values = rows_of(data, how.wanted)
    except (ValueError, RecursionError) as error:
        remedy = "Keep the rows alone in the file, or name the key that holds them in source.records"
        raise ManifestError(first_line(error), place=Place(str(path)), remedy=remedy) from error
    notes = tuple(_categories(data, values))
    return Rows(str(path), "row", tuple(range(1, len(values) + 1)), tuple(values), notes)


def _categories(data: Any, values: list[Row]) -> Iterator[str]:
    """Say which keys rows were taken from: train and test of a set are keys, too."""
    found = dict.fromkeys(str(row["category"]) for row in values if "category" in row)
    if isinstance(data, dict) and found.keys() <= data.keys() and len(found) > 1:
        named = ", ".join([*found][:5])
        yield f"rows come from {len(found)} keys of the file ({named}), which column category names"


def _read_csv(path: Path, how: Reading) -> Rows:
    return _of_table(path, read_separated(path, _utf8(path), how, tabs=False))


def _read_tsv(path: Path, how: Reading) -> Rows:
    return _of_table(path, read_separated(path, _utf8(path), how, tabs=True))


def _read_xlsx(path: Path, how: Reading) -> Rows:
    return _of_table(path, read_workbook(path, how))


def _of_table(path: Path, table: Table) -> Rows:
    return Rows(str(path), table.unit, tuple(table.numbers), tuple(table.rows), table.notes)


def _read_parquet(path: Path, how: Reading) -> Rows:
    import pyarrow
    import pyarrow.parquet as pq

    with open_unpacked(path) as file:
        try:
            values = pq.read_table(file).to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            what = f"broken parquet: {first_line(error).rstrip('.')}"
            raise ManifestError(what, place=Place(str(path)), remedy="Fetch the file again") from error
    return Rows(str(path), "row", tuple(range(1, len(values) + 1)), tuple(values))


def _read_log(path: Path, how: Reading, *, layout: str) -> Rows:
    """Return what a log of another tool asked, as rows of a battery; of a folder, what its logs asked.

    The logs of a group of tasks number their documents each from 0, so their items are named by task, too.
    """
    numbers: list[int] = []
    values: list[Row] = []
    left: Counter[str] = Counter()
    group = path.is_dir()
    for sample in (sample for log in _logs(path, layout) for sample in read_log(log, layout)):
        if sample.repeat:
            continue
        if sample.unaskable is not None:
            left[sample.unaskable] += 1
            continue
        turns = sample.prompt
        prompt = turns if turns is None or isinstance(turns, str) else [turn._asdict() for turn in turns]
        numbers.append(len(values) + 1 if group else sample.line or len(values) + 1)
        name = f"{sample.task}/{sample.item_id}" if group else sample.item_id
        told = {"id": name, "prompt": prompt, "target": sample.target}
        values.append({**sample.columns, **told, RENDERED: isinstance(prompt, str) and is_rendered(prompt)})
    reasons = "; ".join(f"{count}: {reason}" for reason, count in left.most_common())
    if not values:
        what, remedy = f"the log asks nothing that can be asked again ({reasons})", "Name another source"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy)
    lines = path.suffix not in (".eval", ".json") and not group
    notes = [f"{left.total()} samples of the log cannot be asked again as text ({reasons})"] if left else []
    plain = sum(isinstance(row["prompt"], str) and not row[RENDERED] for row in values)
    if layout == "lm_eval" and plain:
        notes.append(
            f"{plain} prompts were logged as plain text: the log does not say whether a chat template stood "
            "around them; chat: false asks them without one"
        )
    return Rows(str(path), "line" if lines else "row", tuple(numbers), tuple(values), tuple(notes))


def _logs(path: Path, layout: str) -> list[Path]:
    """Return the logs in a folder, of one layout; a file alone is itself."""
    if not path.is_dir():
        return [path]
    inside = (file for file in sorted(path.rglob("*")) if unpacked_name(file).suffix.lower() in _LOG_ENDINGS)
    found = [file for file in inside if file.is_file() and _is_of(file, layout)]
    if not found:
        what = f"the folder holds no log of the layout {layout}"
        raise ManifestError(what, place=Place(str(path)), remedy="Name the folder, or the file, of the logs")
    return found


def _is_of(file: Path, layout: str) -> bool:
    found, keys = find_layout(file)
    if found is None and says_log(file):
        what = f"a file with the name of a log is of no layout that TAIS knows; {nearest_layouts(keys, {})}"
        raise ManifestError(what, place=Place(str(file)), remedy="Mend it, or take it out of the folder")
    return found == layout


_LOG_ENDINGS = (".eval", ".json", ".jsonl", ".ndjson")

_READERS: dict[str, Callable[[Path, Reading], Rows]] = {
    "csv": _read_csv,
    "json": _read_json,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "tsv": _read_tsv,
    "txt": _read_text,
    "xlsx": _read_xlsx,
    "yaml": _read_yaml,
    **{name: partial(_read_log, layout=name) for name in LAYOUTS},
}


def _utf8(path: Path) -> str:
    with open_unpacked(path) as file:
        raw = file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_bytes(path, raw.count(b"\n", 0, error.start) + 1, error)
