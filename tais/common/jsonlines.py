"""JSON lines from files that anybody may have written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from tais.common.packed import LONGEST_LINE, stream_unpacked
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["Row", "parse_json", "parse_json_line", "parse_json_value", "utf8_lines"]

Row = dict[str, Any]


def utf8_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number (1-based) and text of each line that is not blank, without holding the file.

    A byte order mark is taken off the first line; what is packed is unpacked on the way.
    Raises ManifestError at the first byte that is not UTF-8, and at a line of more than 256 MiB.
    """
    with stream_unpacked(path) as file:
        for number, raw in enumerate(iter(partial(file.readline, LONGEST_LINE + 1), b""), start=1):
            if len(raw) > LONGEST_LINE:
                what = f"the line has more than {LONGEST_LINE >> 20} MiB"
                raise ManifestError(what, place=Place(str(path), number), remedy="One object per line")
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                _refuse_bytes(path, number, error)
            if text.strip(" \t\r\n"):
                yield number, text.rstrip("\r\n")


def parse_json(text: str | bytes, *, constants: bool = False) -> object:
    """Parse JSON in which each key stands once and every number is finite.

    `constants` lets NaN and the infinities pass, as logs of other tools write them for a metric.

    Raises
    ------
    ValueError
        When it is something else.
    RecursionError
        When it is nested too deeply.
    """
    found: object = json.loads(
        text,
        object_pairs_hook=_distinct,
        parse_constant=float if constants else _no_constant,
        parse_float=float if constants else _finite,
    )
    return found


def parse_json_line(text: str, path: Path, number: int) -> Row:
    """Parse one line that must be a JSON object.

    Raises
    ------
    ManifestError
        Not JSON, not an object, a repeated key, or NaN; with file and line.
    """
    value = parse_json_value(text, path, number)
    if not isinstance(value, dict):
        what = f"a line must be a JSON object, not {type(value).__name__}"
        raise ManifestError(what, place=Place(str(path), number), remedy="One object per line")
    return value


def parse_json_value(text: str, path: Path, number: int) -> Any:
    """Parse one line that must be JSON.

    Raises
    ------
    ManifestError
        Not JSON, a repeated key, or NaN; with file and line.
    """
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        what = f"broken JSON: {first_line(error).rstrip('.')}"
        raise ManifestError(what, place=Place(str(path), number), remedy="One object per line") from error


def _refuse_bytes(path: Path, line: int, error: UnicodeDecodeError) -> NoReturn:
    what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
    raise ManifestError(what, place=Place(str(path), line), remedy="Save the file as UTF-8") from error


def _distinct(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return row


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
