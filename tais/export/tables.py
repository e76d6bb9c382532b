"""A run's frames as files: csv, parquet or jsonl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.files import store_error
from tais.common.text import spreadsheet_cell
from tais.frames import RunResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLES", "write_tables"]

TABLES = ("items", "samples", "scores", "endpoints", "flips")


def write_tables(run: RunResult, folder: Path, format: str) -> list[Path]:
    """Write one file (csv, parquet or jsonl) per frame of a run and return them.

    The columns are those of docs/notebook.md.
    In csv, a text that a spreadsheet would take for a formula begins with an apostrophe. parquet and
    jsonl keep every text as it is.

    Raises
    ------
    UsageError
        While the run is not finished.
    StoreError
        When a file cannot be read or written.
    """
    writer = _WRITERS[format]
    written = []
    for name in TABLES:
        frame = getattr(run, name)()
        path = folder / f"{name}.{format}"
        try:
            writer(frame, path)
        except OSError as error:
            raise store_error(error, path) from error
        written.append(path)
    return written


def _csv(frame: pd.DataFrame, path: Path) -> None:
    for name in frame.columns:
        if frame[name].dtype == object or str(frame[name].dtype) in ("str", "string"):
            frame[name] = [
                spreadsheet_cell(value) if isinstance(value, str) else value for value in frame[name]
            ]
    frame.to_csv(path, index=False, lineterminator="\n")


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    # What is expected is a text for one scorer and a mapping for another: as JSON it has one type.
    if "expect" in frame:
        import json

        frame["expect"] = [json.dumps(value, ensure_ascii=False) for value in frame["expect"]]
    frame.to_parquet(path, index=False)


def _jsonl(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", lines=True, force_ascii=False, date_format="iso")


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "jsonl": _jsonl,
}
