"""Training data as parquet: one row per root, what the columns mean in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tais.common.files import atomic_path, store_error
from tais.errors import Place, StoreError
from tais.lab.verification.selector.actions import Grid
from tais.lab.verification.selector.facts import DataFacts
from tais.lab.workbench.collect import Row

__all__ = ["Data", "read_data", "write_data"]

VERSION = 1
_META = b"tais_selector_data"
_BATCH = 256
_SCHEMA = pa.schema(
    [
        pa.field("prompt", pa.string()),
        pa.field("step", pa.int32()),
        pa.field("temperature", pa.float32()),
        pa.field("features", pa.list_(pa.float32())),
        pa.field("labels", pa.list_(pa.float32())),
        pa.field("entropies", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows in memory.

    Attributes
    ----------
    prompts
        Of each row.
    features, labels, entropies
        Shapes (rows, features), (rows, actions) and (rows, trunk + 1), float32.
    grid
        The choices that labels are of.
    facts
        What else the file says: the pair, and how it was collected.
    """

    prompts: list[str]
    features: torch.Tensor
    labels: torch.Tensor
    entropies: torch.Tensor
    grid: Grid
    facts: DataFacts


def write_data(path: Path, rows: Iterable[Row], grid: Grid, facts: DataFacts) -> int:
    """Write rows as they come, and return how many; the file takes its name when it is whole.

    Raises
    ------
    StoreError
        When it cannot be written, or there is no row.
    """
    meta = json.dumps({"version": VERSION, "grid": grid.to_json(), **facts}).encode()
    schema = _SCHEMA.with_metadata({_META: meta})
    try:
        with atomic_path(path) as temporary:
            return _write(temporary, rows, schema, path)
    except OSError as error:
        raise store_error(error, path) from error


def _write(temporary: Path, rows: Iterable[Row], schema: pa.Schema, path: Path) -> int:
    written = 0
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            writer.write_table(batch.replace_schema_metadata(schema.metadata))
            written += batch.num_rows
    if not written:
        remedy = "Take more prompts or longer answers"
        raise StoreError("no root was met", place=Place(str(path)), remedy=remedy)
    return written


def _batches(rows: Iterable[Row]) -> Iterable[pa.Table]:
    held: list[Row] = []
    for row in rows:
        held.append(row)
        if len(held) == _BATCH:
            yield _table(held)
            held = []
    if held:
        yield _table(held)


def _table(rows: list[Row]) -> pa.Table:
    columns = {
        "prompt": [row.prompt for row in rows],
        "step": [row.step for row in rows],
        "temperature": [row.temperature for row in rows],
        "features": [row.features.numpy() for row in rows],
        "labels": [row.labels.numpy() for row in rows],
        "entropies": [row.entropies.numpy() for row in rows],
    }
    return pa.table(columns, schema=_SCHEMA)


def read_data(path: Path) -> Data:
    """Read what :func:`write_data` wrote.

    Raises
    ------
    StoreError
        When the file is missing, is no such file, or was written by another version.
    """
    place = Place(str(path))
    remedy = "Make it with tais law data"
    if not path.is_file():
        raise StoreError("no such file", place=place, remedy=remedy)
    try:
        table = pq.read_table(path)
        facts = json.loads((table.schema.metadata or {})[_META])
        version = facts.pop("version")
        if version != VERSION:
            raise StoreError(f"these data have version {version}, not {VERSION}", place=place, remedy=remedy)
        grid = Grid.from_json(facts.pop("grid"))
        features, labels, entropies = (
            _matrix(table.column(name)) for name in ("features", "labels", "entropies")
        )
    except OSError as error:
        raise store_error(error, path) from error
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise StoreError("this is no training data of a selector", place=place, remedy=remedy) from error
    sizes = labels.shape[1], entropies.shape[1]
    if sizes != (len(grid.actions), grid.trunk + 1) or not bool(torch.isfinite(features).all()):
        raise StoreError("the rows do not fit what the file says of them", place=place, remedy=remedy)
    return Data(table.column("prompt").to_pylist(), features, labels, entropies, grid, facts)


def _matrix(column: pa.ChunkedArray) -> torch.Tensor:
    whole = column.combine_chunks()
    flat = torch.from_numpy(whole.flatten().to_numpy().copy())
    return flat.reshape(len(whole), -1)
