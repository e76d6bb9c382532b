"""The sample store: parquet parts, written whole and renamed, never rewritten.

A part holds finished samples only, so that killing a worker at any point loses at most the samples
in flight; what is stored is found again by key, so that nothing is generated twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tais.common.files import atomic_path, store_error
from tais.common.text import first_line
from tais.errors import Place, StoreError
from tais.records import Counters, Sample, SampleKey

__all__ = [
    "SCHEMA",
    "PartWriter",
    "Stored",
    "TableWriter",
    "answers",
    "count_tokens",
    "exclusive",
    "part_files",
    "part_id",
    "read_batches",
    "read_counters",
    "stored_keys",
]

_COLUMNS = ("battery", "item_id", "repeat", "text", "text_raw", "finish_reason", "parts")

SCHEMA = pa.schema(
    [
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
        pa.field("prompt_digest", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("token_ids", pa.list_(pa.int32())),
        pa.field("text", pa.string(), nullable=False),
        # Only for text that is not valid Unicode (lone surrogates): its bytes, WTF-8.
        pa.field("text_raw", pa.binary()),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("top1_logprobs", pa.list_(pa.float32())),
        pa.field("top2_logprobs", pa.list_(pa.float32())),
        pa.field("top2_tokens", pa.list_(pa.int32())),
        pa.field("step_drafted", pa.list_(pa.int16())),
        pa.field("step_accepted", pa.list_(pa.int16())),
        pa.field("seconds", pa.float32()),
        # Not in parts that older versions wrote.
        pa.field("parts", pa.string()),
        pa.field("asked", pa.string()),
        pa.field("stop_reason", pa.string()),
    ]
)

Entry = TypeVar("Entry")

_PART = re.compile(r"part-(\d{5})\.parquet")
_COUNTERS = b"tais.counters"
_LATER = ("parts", "asked")
_ID = b"tais.part"
"""Drawn for each part: a copy has the same one, wherever it lies."""


def part_files(arm_dir: Path) -> list[Path]:
    """Return the parts of an arm in the order in which they were written.

    Raises
    ------
    StoreError
        When one is a link or no ordinary file: what it leads to is no part of the run.
    """
    if not arm_dir.is_dir():
        return []
    parts = sorted(path for path in arm_dir.iterdir() if _PART.fullmatch(path.name))
    for path in parts:
        if not stat.S_ISREG(path.lstat().st_mode):
            what = "a link or special file, and a run directory holds ordinary files only"
            raise StoreError(what, place=Place(file=str(path)), remedy="Take the directory as TAIS wrote it")
    return parts


def part_id(path: Path) -> str | None:
    """Return what tells a part from any other, and a copy of it has; None in parts of older versions."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(_ID)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    return None if found is None else found[:64].decode("ascii", errors="replace")


def exclusive(arm_dir: Path) -> int:
    """Wait until no other process writes to an arm's directory, which is made when missing.

    A worker outlives the kill of its run by some milliseconds; a resumed run must not meet it.

    Returns
    -------
    int
        Descriptor that holds the directory until the process ends.
    """
    try:
        arm_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(arm_dir, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise store_error(error, arm_dir) from error
    return descriptor


def _row(sample: Sample) -> dict[str, object]:
    text, raw = sample.text, None
    try:
        text.encode()
    except UnicodeEncodeError:
        raw = text.encode(errors="surrogatepass")
        text = text.encode(errors="replace").decode()
    return {
        **sample.key._asdict(),
        "prompt_digest": sample.prompt_digest,
        "prompt_tokens": sample.prompt_tokens,
        "token_ids": sample.token_ids,
        "text": text,
        "text_raw": raw,
        "finish_reason": sample.finish_reason,
        "top1_logprobs": sample.top1_logprobs,
        "top2_logprobs": sample.top2_logprobs,
        "top2_tokens": sample.top2_tokens,
        "step_drafted": sample.step_drafted,
        "step_accepted": sample.step_accepted,
        "seconds": sample.seconds,
        "parts": sample.parts,
        "asked": sample.asked,
        "stop_reason": sample.stop_reason,
    }


class TableWriter(Generic[Entry]):
    """Buffers what a worker makes one by one, and writes it as parts.

    Parameters
    ----------
    arm_dir
        Directory of the arm; created when missing. Remains of unfinished parts are removed.
    schema
        Columns of a part.
    row
        Makes one row of an entry.
    """

    def __init__(self, arm_dir: Path, schema: pa.Schema, row: Callable[[Entry], dict[str, object]]) -> None:
        self.arm_dir = arm_dir
        self.schema = schema
        self.row = row
        self._buffer: list[Entry] = []
        try:
            arm_dir.mkdir(parents=True, exist_ok=True)
            for pattern in (".part-*", ".engine.json.*"):
                for leftover in arm_dir.glob(pattern):
                    leftover.unlink()
        except OSError as error:
            raise store_error(error, arm_dir) from error
        parts = part_files(arm_dir)
        self._next = int(parts[-1].name[5:10]) + 1 if parts else 0

    def __len__(self) -> int:
        """Return the number of samples not yet written."""
        return len(self._buffer)

    def add(self, entry: Entry) -> None:
        """Keep an entry for the next part."""
        self._buffer.append(entry)

    def flush(self, counters: Counters | None = None) -> Path | None:
        """Write the buffered entries as one part; return its path, or None when there are none.

        Parameters
        ----------
        counters
            The engine's counters since the previous part, kept in the part's metadata.

        Raises
        ------
        StoreError
            When the part cannot be written; what was stored before stays as it was.
        """
        if not self._buffer:
            return None
        metadata = {_ID: uuid.uuid4().hex.encode()}
        if counters:
            metadata[_COUNTERS] = json.dumps(asdict(counters)).encode()
        rows = [self.row(entry) for entry in self._buffer]
        table = pa.Table.from_pylist(rows, schema=self.schema.with_metadata(metadata))
        path = self.arm_dir / f"part-{self._next:05d}.parquet"
        try:
            with atomic_path(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
        except OSError as error:
            raise store_error(error, path) from error
        self._next += 1
        self._buffer.clear()
        return path


class PartWriter(TableWriter[Sample]):
    """Buffers samples and writes them as parts."""

    def __init__(self, arm_dir: Path) -> None:
        super().__init__(arm_dir, SCHEMA, _row)


def read_batches(
    arm_dir: Path, columns: Sequence[str] | None = None, *, batch_size: int = 8192
) -> Iterator[pa.RecordBatch]:
    """Stream the samples of an arm.

    Raises
    ------
    StoreError
        When a part is damaged.
    """
    for path in part_files(arm_dir):
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=batch_size, columns=columns and list(columns)):
                    yield _with_later(batch, columns)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"this part cannot be read ({first_line(error)})",
        place=Place(file=str(path)),
        remedy="Remove it and continue with --resume: its samples are then generated again",
    )


def _with_later(batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
    """Return a batch with the columns that parts of older versions lack, where they are asked for."""
    for name in _LATER:
        if name in (columns or ()) and name not in batch.schema.names:
            batch = batch.append_column(name, pa.nulls(len(batch), pa.string()))
    return batch


def stored_keys(arm_dir: Path) -> set[SampleKey]:
    """Return the keys of all stored samples of an arm."""
    keys: set[SampleKey] = set()
    for batch in read_batches(arm_dir, ("battery", "item_id", "repeat"), batch_size=65536):
        columns = (batch.column(name).to_pylist() for name in ("battery", "item_id", "repeat"))
        keys.update(SampleKey(*row) for row in zip(*columns, strict=True))
    return keys


def count_tokens(arm_dir: Path) -> int:
    """Return the number of stored tokens of an arm."""
    lists = (batch.column("token_ids") for batch in read_batches(arm_dir, ("token_ids",)))
    return sum(pc.sum(pc.list_value_length(column)).as_py() or 0 for column in lists)


def read_counters(arm_dir: Path) -> Counters | None:
    """Return the sum of the engine's counters over all parts; None where no part has any."""
    total: Counters | None = None
    for path in part_files(arm_dir):
        try:
            metadata = pq.read_schema(path).metadata or {}
            if _COUNTERS not in metadata:
                continue
            values = json.loads(metadata[_COUNTERS])
            part = Counters(**{**values, "accepted_per_position": tuple(values["accepted_per_position"])})
        except (pa.ArrowException, OSError, ValueError, TypeError, LookupError) as error:
            raise _damaged(path, error) from error
        total = part if total is None else total + part
    return total


class Stored(NamedTuple):
    """A stored answer."""

    battery: str
    item_id: str
    repeat: int
    text: str
    finish_reason: str
    parts: str | None


def answers(arm_dir: Path) -> Iterator[Stored]:
    """Yield every stored answer of an arm, or reply of a judge."""
    for batch in read_batches(arm_dir, _COLUMNS):
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        for battery, item_id, repeat, text, raw, reason, parts in zip(*columns, strict=True):
            whole = text if raw is None else raw.decode("utf-8", "surrogatepass")
            yield Stored(battery, item_id, repeat, whole, reason, parts)
