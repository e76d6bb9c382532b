"""Tables: csv, tsv and xlsx, with or without a header."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from tais.battery.layouts import PROMPT
from tais.common.install import pip_install
from tais.common.packed import open_unpacked
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["Reading", "Table", "read_separated", "read_workbook"]

# Long-context prompts pass csv's default of 131,072 characters per field.
_CSV_FIELD_LIMIT = 1 << 27
_SEPARATORS = (",", ";", "\t", "|")
# What a workbook may unpack to.
_WORKBOOK_BYTES = 1 << 30
# A name of a column is short, ends in no punctuation and is no number.
_NAME = re.compile(r"(?![-+.\d]+$)\S{1,40}(?: \S+){0,3}(?<![.?!,;:。？！…\"'”])")
_LONGEST_NAME = 40
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Reading:
    """How a battery says that its file is to be read."""

    records: str | None = None
    """Key that holds the rows in JSON and YAML; sheet of a workbook."""
    header: bool | tuple[str, ...] | None = None
    """Whether the first line names the columns, or the names of those of a table without header."""
    delimiter: str | None = None
    wanted: frozenset[str] = frozenset()
    """Columns that the battery names."""


class Table(NamedTuple):
    """A table as it was read."""

    unit: Literal["line", "row"]
    numbers: list[int]
    rows: list[dict[str, str]]
    notes: tuple[str, ...] = ()


def read_separated(path: Path, text: str, how: Reading, *, tabs: bool) -> Table:
    """Read csv or tsv.

    Parameters
    ----------
    path, text
        The file, and what it holds.
    how
        Where it does not say, the separator is the one by which the first line names most columns that are
        wanted, and the first line is a row where it names none of them and does not read like names.
    tabs
        Whether columns are separated by tabs. Quotes are then text where they do not pair.

    Raises
    ------
    ManifestError
        Broken quotes, or lines of another width; with file and line.
    """
    separator = how.delimiter or ("\t" if tabs else _separator(text, how.wanted))
    limit = csv.field_size_limit(_CSV_FIELD_LIMIT)
    try:
        try:
            return _table(path, list(_lines(path, text, separator)), how)
        except ManifestError:
            if not tabs:
                raise
            plain = list(_lines(path, text, separator, quoted=False))
            if len({len(cells) for _, cells in plain}) != 1:
                raise
            return _table(path, plain, how)
    finally:
        csv.field_size_limit(limit)


def _separator(text: str, wanted: frozenset[str]) -> str:
    def named(separator: str) -> int:
        first = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        return len(wanted.intersection(first))

    # The first of the best. Where none names anything, another than the comma has to part all lines alike.
    best = max(_SEPARATORS, key=named)
    if named(best) or _widths(text, ",") != {1}:
        return best
    return next((s for s in _SEPARATORS if (found := _widths(text, s)) != {1} and len(found) == 1), ",")


def _widths(text: str, separator: str) -> set[int]:
    """Return how many cells the first lines have; that of one line alone says nothing."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        widths = [len(cells) for cells in islice(reader, _LOOKED_AT) if cells]
    except csv.Error:
        return {1}
    return set(widths) if len(widths) > 1 else {1}


def _lines(path: Path, text: str, separator: str, *, quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record starts, and its cells; blank lines are left out."""
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator, quoting=quoting)
    try:
        while True:
            start = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                return
            if row:
                yield start, row
    except csv.Error as error:
        place = Place(str(path), reader.line_num)
        raise ManifestError(f"broken csv: {error}", place=place, remedy="Mend the file") from error


def _table(path: Path, lines: Sequence[tuple[int, list[str]]], how: Reading) -> Table:
    if not lines:
        return Table("line", [], [])
    first = lines[0][1]
    has_header = _has_header(first, how)
    names = first if has_header else _names(path, len(first), how)
    _check_names(path, names)
    numbers, rows = [], []
    for number, cells in lines[1:] if has_header else lines:
        if len(cells) != len(names):
            what = (
                f"{len(cells)} fields where the {'header' if has_header else 'first line'} has {len(names)}"
            )
            remedy = "Quote fields that hold the separator"
            raise ManifestError(what, place=Place(str(path), number), remedy=remedy)
        numbers.append(number)
        rows.append(dict(zip(names, cells, strict=True)))
    guessed = not has_header and how.header is None
    note = f"the first line is taken for a row, the columns for {', '.join(names)} (source.header decides)"
    return Table("line", numbers, rows, (note,) if guessed else ())


def _has_header(first: list[str], how: Reading) -> bool:
    if how.header is not None:
        return how.header is True
    # A battery that asks for no column which a table without header has, means one with a header.
    numbered = _numbered(len(first))
    named = {name for name in how.wanted if not name.isdecimal()}.intersection(first)
    meant = how.wanted.intersection(numbered) and not named and first != numbered
    return not meant or all(map(_like_a_name, first))


def _like_a_name(cell: str) -> bool:
    return not cell or (len(cell) <= _LONGEST_NAME and _NAME.fullmatch(cell) is not None)


def _names(path: Path, width: int, how: Reading) -> list[str]:
    if isinstance(how.header, tuple):
        if len(how.header) != width:
            what = f"source.header names {len(how.header)} columns, the first line has {width}"
            raise ManifestError(what, place=Place(str(path), 1), remedy="Name each column once, in order")
        return list(how.header)
    return _numbered(width)


def _numbered(width: int) -> list[str]:
    """Return the names of columns that have none."""
    return [PROMPT] if width == 1 else [str(index) for index in range(width)]


def _check_names(path: Path, names: list[str]) -> None:
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        what = f"the header names column {min(repeated)!r} twice"
        raise ManifestError(what, place=Place(str(path), 1), remedy="Rename one of them")


def read_workbook(path: Path, how: Reading) -> Table:
    """Read one sheet of an xlsx file: the first, or the one that ``source.records`` names.

    Numbers, dates and truth values become text as Python writes them; of a formula its stored result.

    Raises
    ------
    ManifestError
        openpyxl is not installed, no such sheet, or not a workbook.
    """
    try:
        import openpyxl
    except ImportError as error:
        what = "reading xlsx needs the package 'openpyxl'"
        raise ManifestError(what, place=Place(str(path)), remedy=pip_install("xlsx")) from error
    try:
        with open_unpacked(path) as file:
            _check_size(path, file)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheet = book[how.records] if how.records else book.worksheets[0]
            lines = [
                (number, ["" if cell is None else str(cell) for cell in row])
                for number, row in enumerate(sheet.iter_rows(values_only=True), start=1)
            ]
    except ManifestError:
        raise
    # Damage of a zip or of the XML inside comes as any of a dozen classes.
    except Exception as error:
        what = f"cannot read the workbook: {first_line(error).rstrip('.')}"
        remedy = "source.records names a sheet; save it again as xlsx"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy) from error
    table = _table(path, _trimmed(lines), how)
    return table._replace(unit="row")


def _check_size(path: Path, file: object) -> None:
    with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
        if sum(entry.file_size for entry in archive.infolist()) > _WORKBOOK_BYTES:
            what = f"more than {_WORKBOOK_BYTES >> 20} MiB are packed in this workbook"
            raise ManifestError(what, place=Place(str(path)), remedy="Save the sheet as csv")


def _trimmed(lines: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Return the lines without empty rows and without empty columns to the right."""
    filled = [(number, cells) for number, cells in lines if any(cells)]
    width = max((len(cells) - _empty_end(cells) for _, cells in filled), default=0)
    return [(number, [*cells, *[""] * width][:width]) for number, cells in filled]


def _empty_end(cells: list[str]) -> int:
    return next((n for n, cell in enumerate(reversed(cells)) if cell), len(cells))
