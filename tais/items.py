"""items.parquet: what every arm was asked, kept in the run directory.

With it a report can be recomputed from the samples where the battery's source is no longer at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tais.engines.base import Message, Request, SampleKey
from tais.errors import Place, StoreError
from tais.files import write_atomic
from tais.manifest import Sampling

if TYPE_CHECKING:
    from tais.battery import LoadedBattery

__all__ = ["StoredItem", "read_items", "read_requests", "write_items"]

_SCHEMA = pa.schema(
    [
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        # JSON in ASCII, so that text which is not valid Unicode has bytes too.
        pa.field("messages", pa.string(), nullable=False),
        pa.field("expect", pa.string(), nullable=False),
    ]
)


class StoredItem(NamedTuple):
    """One row of items.parquet."""

    battery: str
    item_id: str
    cluster: str
    messages: tuple[Message, ...]
    expect: Any


def _rows(battery: LoadedBattery) -> Iterator[dict[str, str]]:
    for item in battery.items:
        yield {
            "battery": battery.name,
            "item_id": item.id,
            "cluster": item.cluster,
            "messages": json.dumps([[m.role, m.content] for m in item.messages]),
            "expect": json.dumps(item.expect, sort_keys=True),
        }


def write_items(path: Path, batteries: tuple[LoadedBattery, ...]) -> None:
    """Write the items of all batteries, in the order in which they are asked."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, _SCHEMA, compression="zstd") as writer:
        for battery in batteries:
            writer.write_table(pa.Table.from_pylist(list(_rows(battery)), schema=_SCHEMA))
    write_atomic(path, sink.getvalue().to_pybytes())


def read_items(path: Path) -> Iterator[StoredItem]:
    """Stream items.parquet.

    Raises
    ------
    StoreError
        When the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    yield StoredItem(
                        row["battery"],
                        row["item_id"],
                        row["cluster"],
                        tuple(Message(*turn) for turn in json.loads(row["messages"])),
                        json.loads(row["expect"]),
                    )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(
            f"the items cannot be read ({str(error).splitlines()[0]})",
            place=Place(file=str(path)),
            remedy="Take the run directory from its backup, or run the screen again",
        ) from error


def _seed(sampling: Sampling, key: SampleKey) -> int:
    """Return the seed of one item and repeat: independent of order, batch and resumption."""
    text = "\x1f".join(map(str, (sampling.seed, *key)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def read_requests(path: Path, sampling: Sampling, system_prompt: str | None = None) -> list[Request]:
    """Return all requests of a run: every item, `sampling.n` times."""
    first = (Message("system", system_prompt),) if system_prompt else ()
    requests = []
    for item in read_items(path):
        for repeat in range(sampling.n):
            key = SampleKey(item.battery, item.item_id, repeat)
            requests.append(Request(key, (*first, *item.messages), _seed(sampling, key)))
    return requests
