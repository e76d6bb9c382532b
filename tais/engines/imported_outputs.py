"""Outputs that exist already: the arms of ``engine: import``.

One JSON object per line::

    {"item_id": "a-1", "text": "...", "token_ids": [1, 2], "repeat": 0}

`item_id` and `text` are required; a text of null is an empty answer. Optional: `token_ids`; `repeat`
(0-based, 0 when left out); `finish_reason` (``stop`` or ``length``); `battery`, needed only where two
batteries share item ids; `tool_calls`, `refusal` and `reasoning`, what was said outside the text.

Logs of Inspect and of lm-evaluation-harness are recognised and read as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.battery.tool_logs import inspect_samples, lm_eval_samples, sniff
from tais.common.document import show, suggest
from tais.common.jsonlines import parse_json_line, utf8_lines
from tais.common.parts import render_parts
from tais.errors import ManifestError, Place

__all__ = ["ImportedOutput", "read_outputs"]

_PARTS = ("tool_calls", "refusal", "reasoning")
_KEYS = ("item_id", "text", "token_ids", "repeat", "finish_reason", "battery", *_PARTS)


@dataclass(frozen=True, slots=True)
class ImportedOutput:
    """One answer that an engine gave earlier."""

    item_id: str
    text: str
    """Untouched: lone surrogates and NUL included."""
    token_ids: tuple[int, ...] | None = None
    repeat: int = 0
    finish_reason: str | None = None
    battery: str | None = None
    parts: str | None = None
    """What was said outside the text; see :func:`tais.common.parts.render_parts`."""


def read_outputs(path: Path) -> Iterator[ImportedOutput]:
    """Stream the outputs of a JSONL file, or of another tool's log.

    Memory holds one line, and a key per output to find duplicates.

    Raises
    ------
    ManifestError
        Missing file, broken line, missing or unknown key, wrong type, duplicate output, or none at all;
        with file and line.
    """
    first: dict[tuple[str | None, str, int], int] = {}
    try:
        for number, output in _numbered(path):
            key = (output.battery, output.item_id, output.repeat)
            if key in first:
                what = f"item {output.item_id!r}, repeat {output.repeat} stands already in line {first[key]}"
                remedy = "Number repeated answers with `repeat`"
                raise ManifestError(what, place=Place(str(path), number), remedy=remedy)
            first[key] = number
            yield output
    except OSError as error:
        what = f"cannot read the outputs: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy="Check the path") from error
    if not first:
        raise ManifestError("no outputs in the file", place=Place(str(path)), remedy="One object per line")


def _numbered(path: Path) -> Iterator[tuple[int, ImportedOutput]]:
    kind = sniff(path)
    if kind is None:
        for number, text in utf8_lines(path):
            yield number, _output(parse_json_line(text, path, number), Place(str(path), number))
        return
    samples = inspect_samples(path) if kind == "inspect" else lm_eval_samples(path)
    for number, sample in enumerate(samples, start=1):
        output = ImportedOutput(
            item_id=sample.item_id,
            text=sample.text,
            repeat=sample.repeat,
            finish_reason=sample.finish_reason,
            parts=sample.parts,
        )
        yield sample.line or number, output


def _output(row: dict[str, Any], place: Place) -> ImportedOutput:
    for key in row:
        if key not in _KEYS:
            raise ManifestError(f"unknown key {show(key)}", place=place, remedy=suggest(key, _KEYS))
    for key in ("item_id", "text"):
        if key not in row:
            raise ManifestError(f"no {key!r}", place=place, remedy="item_id and text are required")
    output = ImportedOutput(
        item_id=_item_id(row["item_id"], place),
        # A server that filters or calls a tool says null.
        text="" if row["text"] is None else row["text"],
        token_ids=_token_ids(row.get("token_ids"), place),
        repeat=row.get("repeat", 0),
        finish_reason=row.get("finish_reason"),
        battery=row.get("battery"),
        parts=_parts(row, place),
    )
    for key, value, kinds in (
        ("text", output.text, (str,)),
        ("finish_reason", output.finish_reason, (str, type(None))),
        ("battery", output.battery, (str, type(None))),
    ):
        if not isinstance(value, kinds):
            what = f"{key} must be text, not {type(value).__name__}"
            raise ManifestError(what, place=place, remedy="Mend the line")
    if not _is_count(output.repeat):
        what = f"repeat must be a whole number from 0, not {output.repeat!r}"
        raise ManifestError(what, place=place, remedy="Mend the line")
    return output


def _parts(row: dict[str, Any], place: Place) -> str | None:
    try:
        return render_parts({key: row[key] for key in _PARTS if key in row})
    except ValueError as error:
        what = "a part of the answer holds a number that is none"
        raise ManifestError(what, place=place, remedy="Mend the line") from error


def _item_id(value: Any, place: Place) -> str:
    # Many tools number their items; a number and its text are the same id.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        what = f"item_id must be text, not {value!r}"
        raise ManifestError(what, place=place, remedy="Mend the line")
    return value


def _token_ids(value: Any, place: Place) -> tuple[int, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_count(token) for token in value):
        raise ManifestError(
            "token_ids must be a list of whole numbers from 0", place=place, remedy="Mend the line"
        )
    return tuple(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
