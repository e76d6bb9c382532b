"""Outputs that exist already: the arms of ``engine: import``.

One JSON object per line::

    {"item_id": "a-1", "text": "...", "token_ids": [1, 2], "repeat": 0}

`item_id` and `text` are required; a text of null is an empty answer. Optional: `token_ids`; `repeat`
(0-based, 0 when left out); `finish_reason` (``stop`` or ``length``); `battery`, needed only where two
batteries share item ids; `prompt` and `target`, what was asked and what was right; `tool_calls`, `refusal`
and `reasoning`, what was said outside the text.

A table (csv, tsv, parquet, json, lines; also compressed) is read where the arm's `columns` say which column
plays which part. Logs of other tools are recognised and read as they are:
:data:`tais.battery.logs.layouts.LAYOUTS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from tais.battery.cells import parsed_cell
from tais.battery.chats import as_chat, text_of, to_message
from tais.battery.logs.layouts import find_layout, nearest_layouts, read_log, says_log
from tais.battery.logs.reading import listed, mapping
from tais.battery.logs.sample import UNREAD, LoggedSample, Turn, asked_of
from tais.battery.rows import Reading, format_of, read_rows
from tais.common.document import show, suggest
from tais.common.jsonlines import Row, parse_json_line, utf8_lines
from tais.common.packed import remedy_for, unpacked_name
from tais.common.parts import render_parts
from tais.common.template import MissingColumn, lookup
from tais.errors import ManifestError, Place
from tais.manifest.model import Arm
from tais.manifest.outputs import OUTPUT_KEYS, OUTPUT_PARTS

__all__ = ["Files", "read_outputs"]

_ALWAYS = ("item_id", "text", "finish_reason")
_OWN: Mapping[str, tuple[str, ...]] = {"TAIS's own lines": ("item_id", "text")}
_TABLES = ("csv", "tsv", "xlsx", "parquet", "json")
# A table's whole numbers are text in csv; pandas writes them with a point where some are missing.
_WHOLE = re.compile(r"\d{1,10}(?:\.0+)?")
# A list of token ids, as JSON or as numpy prints it.
_NUMBER = re.compile(r"\d{1,10}")
_NUMBERS = re.compile(r"\s*\[?\s*(?:\d{1,10}(?:\s*,\s*|\s+|(?=\s*\]?\s*\Z)))*\]?\s*")
# Ids and repeats are kept as 32-bit integers.
_LARGEST = (1 << 31) - 1
_REASON = 64
# How the interfaces of Anthropic, Google and Cohere and the Responses of OpenAI call the two ends that TAIS
# tells apart; an answer that was cut must count as cut, whoever says so.
_END_WORDS = {
    "max_tokens": "length", "max_output_tokens": "length", "length": "length", "end_turn": "stop",
    "stop": "stop", "complete": "stop",
}  # fmt: skip


class UnknownLayout(ManifestError):
    """A file that can be read, and that is no log or table of outputs."""


class Files:
    """The files of an import arm, each with the layout that it is of.

    Raises
    ------
    ManifestError
        When a file cannot be read, or one that was named, or that has the name of a log, is of no layout that
        TAIS knows; when no file of a folder is. With what was seen and the two nearest.
    """

    def __init__(self, arm: Arm) -> None:
        assert arm.path is not None, "the manifest requires a path of an import arm"
        self._arm = arm
        listed = (arm.path,) if isinstance(arm.path, str) else arm.path
        self.layouts: dict[Path, str] = {}
        self.passed_over: list[Path] = []
        unknown: UnknownLayout | None = None
        for path in map(Path, listed):
            try:
                self.layouts[path] = _layout_of(path, arm)
            except UnknownLayout as error:
                # A folder of logs holds summaries, too; a file that was named must be read.
                if isinstance(arm.path, str) or str(path) in arm.named_outputs or says_log(path):
                    raise
                self.passed_over.append(path)
                unknown = unknown or error
        if not self.layouts and unknown is not None:
            raise unknown

    def outputs(self) -> Iterator[tuple[LoggedSample, Place]]:
        """Yield every output with its place; :func:`read_outputs` looks for a second of its kind."""
        for path, layout in self.layouts.items():
            number = 0
            for number, sample in enumerate(self._read(path, layout), start=1):
                place = Place(str(path), sample.line)
                yield sample, place if sample.line else Place(str(path), None, f"sample {number}")
            if not number:
                what = "no outputs in the file"
                raise ManifestError(what, place=Place(str(path)), remedy="One object per line")

    def _read(self, path: Path, layout: str) -> Iterator[LoggedSample]:
        if layout == "tais":
            return _own_lines(path)
        if layout == "table":
            return _table(path, self._arm)
        return read_log(path, layout, self._arm.only)


def _layout_of(path: Path, arm: Arm) -> str:
    if arm.columns:
        return "table"
    if arm.format is not None:
        return {"jsonl": "tais", **dict.fromkeys(_TABLES, "table")}.get(arm.format, arm.format)
    ending = unpacked_name(path).suffix.lower()
    try:
        found, keys = find_layout(path)
    except ManifestError:
        # Lines that nobody can read are told of line by line.
        if ending == ".json":
            raise
        return "tais"
    except OSError as error:
        what = f"cannot read the outputs: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy_for(error)) from error
    if found is not None:
        return found
    if not keys and format_of(path) not in _TABLES and ending != ".json":
        return "tais"
    if {"item_id", "text"} & set(keys):
        return "table" if ending == ".json" else "tais"
    if format_of(path) in _TABLES:
        found_columns = _columns_of(path)
        if {"item_id", "text"} <= set(found_columns):
            return "table"
        keys = found_columns if ending != ".json" else keys
    if not keys:
        raise UnknownLayout("no outputs in the file", place=Place(str(path)), remedy="Check the file")
    what = f"this file is of no layout that TAIS knows; {nearest_layouts(keys, _OWN)}"
    remedy = "Say which columns hold what: columns: {item_id: ..., text: ...}"
    raise UnknownLayout(what, place=Place(str(path)), remedy=remedy)


def _columns_of(path: Path) -> tuple[str, ...]:
    """Return the columns of a table; none of JSON that is no table, and may be anything else."""
    try:
        return read_rows(path, None, _how(OUTPUT_KEYS)).columns
    except ManifestError:
        if unpacked_name(path).suffix.lower() != ".json":
            raise
        return ()


def _how(columns: Iterable[str]) -> Reading:
    """Return how a table of outputs is read: by the columns that are looked for, its header among them."""
    wanted = frozenset(name.partition(".")[0] for name in columns)
    return Reading(header=None if any(map(str.isdecimal, wanted)) else True, wanted=wanted)


def read_outputs(files: Files) -> Iterator[LoggedSample]:
    """Stream the outputs of an arm's files.

    Memory holds one sample, and a key per output to find duplicates.

    Raises
    ------
    ManifestError
        Missing file, broken line, missing or unknown key, wrong type, duplicate output, none at all, or none
        that can be read; with file and line.
    """
    first: dict[tuple[str | None, str, int], Place] = {}
    several = len(files.layouts) > 1
    reasons: list[str] = []
    for sample, place in files.outputs():
        # Each file of a group of tasks numbers its documents from 0.
        key = (sample.battery or (sample.task if several else None), sample.item_id, sample.repeat)
        if key in first:
            known = first[key]
            where = f"line {known.line}" if known.line and known.file == place.file else str(known)
            what = f"item {sample.item_id!r}, repeat {sample.repeat} stands already in {where}"
            raise ManifestError(what, place=place, remedy="Number repeated answers with `repeat`")
        first[key] = place
        if sample.trouble is not None and sample.trouble.kind in UNREAD:
            reasons.append(f"{sample.item_id}: {sample.trouble.what}")
        yield sample
    if len(reasons) == len(first):
        what = f"no sample of the file can be read (first: {reasons[0]})"
        raise ManifestError(
            what, place=Place(str(next(iter(files.layouts)))), remedy="Run the evaluation again"
        )


def _own_lines(path: Path) -> Iterator[LoggedSample]:
    try:
        for number, text in utf8_lines(path):
            yield _output(parse_json_line(text, path, number), Place(str(path), number))
    except OSError as error:
        what = f"cannot read the outputs: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy_for(error)) from error


def _table(path: Path, arm: Arm) -> Iterator[LoggedSample]:
    """Yield the rows of a table under the names that lines of TAIS's own have."""
    wanted = (*arm.columns.values(), *(arm.only or ())) if arm.columns else OUTPUT_KEYS
    rows = read_rows(path, arm.format, _how(wanted))
    columns = _parts_played(arm.columns, rows.columns, path)
    for name in (*columns.values(), *(arm.only or ())):
        if name not in rows.columns and name.partition(".")[0] not in rows.columns:
            what, remedy = f"no column {show(name)}", f"Columns there: {', '.join(rows.columns)}"
            raise ManifestError(what, place=Place(str(path)), remedy=remedy)
    for index, row in enumerate(rows.values):
        if any(str(row.get(key)) != value for key, value in (arm.only or {}).items()):
            continue
        place = rows.place(index)
        yield _output(_named(row, columns, place), place)


def _parts_played(said: Mapping[str, str] | None, there: Sequence[str], path: Path) -> dict[str, str]:
    """Return which column of a table plays which part.

    An arm may name only columns that are called otherwise. Parts that change what another column means
    (prompt, repeat) are then played by none that is not named.
    """
    if not said:
        return {key: key for key in OUTPUT_KEYS if key in there}
    taken = set(said.values())
    alike = {key: key for key in _ALWAYS if key in there and key not in said and key not in taken}
    columns = {**said, **alike}
    if not {"text", *OUTPUT_PARTS} & set(columns):
        what, remedy = "no column is said to hold the answers", f"columns: {{text: ...}}; {', '.join(there)}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy)
    return columns


def _named(row: Mapping[str, object], columns: Mapping[str, str], place: Place) -> Row:
    found: Row = {}
    for key, name in columns.items():
        try:
            value: object = lookup(row, name)
        except MissingColumn:
            continue
        if value == "" and key not in ("item_id", "text"):
            continue
        found[key] = _read_cell(key, value, place)
    found.setdefault("text", None)
    return found


def _read_cell(key: str, value: object, place: Place) -> object:
    """Return what a cell means for a key: a table holds numbers, lists and objects as text, too."""
    if key == "repeat" and (isinstance(value, float) or (isinstance(value, str) and _WHOLE.fullmatch(value))):
        number = float(value)
        return int(number) if number.is_integer() else value
    if not isinstance(value, str):
        return value
    if key == "token_ids":
        return [int(word) for word in _NUMBER.findall(value)] if _NUMBERS.fullmatch(value) else value
    if key == "tool_calls":
        calls = parsed_cell(value)
        return [calls] if isinstance(calls, dict) else value if calls is None else calls
    if key != "prompt":
        return value
    try:
        return as_chat(value)
    except ValueError as error:
        raise ManifestError(str(error), place=place, remedy="Write the column as JSON") from error


def _output(row: Row, place: Place) -> LoggedSample:
    for key in row:
        if key not in OUTPUT_KEYS:
            raise ManifestError(f"unknown key {show(key)}", place=place, remedy=suggest(key, OUTPUT_KEYS))
    for key in ("item_id", "text"):
        if key not in row:
            raise ManifestError(f"no {key!r}", place=place, remedy="item_id and text are required")
    for key, kinds in (
        ("text", (str, list, type(None))),
        ("finish_reason", (str, type(None))),
        ("battery", (str, type(None))),
    ):
        if not isinstance(row.get(key), kinds):
            what = f"{key} must be text, not {type(row[key]).__name__}"
            raise ManifestError(what, place=place, remedy="Mend the line")
    _check_reason(row.get("finish_reason"), place)
    repeat = row.get("repeat", 0)
    if not _is_count(repeat):
        what = f"repeat must be a whole number from 0 to {_LARGEST}, not {show(repeat)}"
        raise ManifestError(what, place=place, remedy="Mend the line")
    prompt = _prompt(row.get("prompt"), place)
    return LoggedSample(
        item_id=_item_id(row["item_id"], place),
        text=_text(row["text"], place),
        prompt=prompt,
        asked=asked_of(prompt, None, row.get("target")),
        target=row.get("target"),
        token_ids=_token_ids(row.get("token_ids"), place),
        repeat=repeat,
        finish_reason=_END_WORDS.get(str(row.get("finish_reason")).lower(), row.get("finish_reason")),
        battery=row.get("battery"),
        line=place.line,
        parts=_parts(row, place),
    )


def _text(value: str | list[object] | None, place: Place) -> str:
    try:
        # A server that filters or calls a tool says null; content in parts is one answer.
        return text_of(value)
    except ValueError as error:
        raise ManifestError(f"text: {error}", place=place, remedy="Write the answer as text") from error


def _check_reason(reason: object, place: Place) -> None:
    """Refuse what is no word: reports repeat it."""
    if isinstance(reason, str) and not (len(reason) <= _REASON and reason.isprintable()):
        what = f"finish_reason must be a word of at most {_REASON} characters"
        raise ManifestError(what, place=place, remedy="Mend the line")


def _prompt(value: object, place: Place) -> str | tuple[Turn, ...] | None:
    if value is None or isinstance(value, str):
        return value
    turns = [mapping(turn) for turn in listed(value)]
    if turns and all(isinstance(turn.get("content"), str) for turn in turns):
        return tuple(Turn(str(turn.get("role")), str(turn["content"])) for turn in turns)
    try:
        said = [to_message(turn) for turn in turns]
    except ValueError:
        said = []
    if said:
        return tuple(Turn(message.role, message.content) for message in said)
    raise ManifestError("prompt must be text or a list of messages", place=place, remedy="Mend the line")


def _parts(row: Row, place: Place) -> str | None:
    try:
        return render_parts({key: cast(JsonValue, row[key]) for key in OUTPUT_PARTS if key in row})
    except ValueError as error:
        what = "a part of the answer holds a number that is none"
        raise ManifestError(what, place=place, remedy="Mend the line") from error


def _item_id(value: object, place: Place) -> str:
    # Many tools number their items; a number and its text are the same id.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if whole and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        what = f"item_id must be text, not {value!r}"
        raise ManifestError(what, place=place, remedy="Mend the line")
    return value


def _token_ids(value: object, place: Place) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_count(token) for token in value):
        raise ManifestError(
            "token_ids must be a list of whole numbers from 0 to 2147483647",
            place=place,
            remedy="Mend the line",
        )
    return tuple(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST
