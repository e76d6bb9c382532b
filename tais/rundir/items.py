"""items.parquet: what every arm was asked, kept in the run directory.

With it a report can be recomputed from the samples where the battery's source is no longer at hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import JsonValue

from tais.common.files import write_atomic
from tais.common.text import first_line
from tais.errors import Place, StoreError
from tais.manifest.model import Sampling
from tais.records import Message, Request, SampleKey

if TYPE_CHECKING:
    pass

__all__ = [
    "BatteryItems",
    "Items",
    "StoredItem",
    "prompt_text",
    "read_requests",
    "requests_for",
    "write_rows",
]

# Only where an item has settings of its own, so that other files stay as they were.
_OWN = pa.field("sampling", pa.string())
_SCHEMA = pa.schema(
    [
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),
        # JSON in ASCII, so that text which is not valid Unicode has bytes too.
        pa.field("messages", pa.string(), nullable=False),
        pa.field("expect", pa.string(), nullable=False),
        pa.field("chat", pa.bool_(), nullable=False),
        # Null where the battery names no categories, and in runs of an earlier version.
        pa.field("group", pa.string()),
        _OWN,
    ]
)


class StoredItem(NamedTuple):
    """One row of items.parquet."""

    battery: str
    item_id: str
    cluster: str
    messages: tuple[Message, ...]
    expect: JsonValue
    chat: bool = True
    """Whether the model's chat template is applied; a battery may ask for the bare prompt."""
    group: str | None = None
    """Category, for a breakdown that decides nothing."""
    sampling: str | None = None
    """Sampling settings of its own, as JSON."""


def prompt_text(item: StoredItem) -> str:
    """Return what an item asks as one text: a single user turn as it is, else each turn with its role."""
    if len(item.messages) == 1 and item.messages[0].role == "user":
        return item.messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in item.messages)


def write_rows(path: Path, groups: Iterable[Iterable[StoredItem]], *, own_sampling: bool = False) -> None:
    """Write items, one group of rows after the other; the items of a battery stand together.

    `own_sampling` is whether any of them has settings of its own.
    """
    sink = pa.BufferOutputStream()
    schema = _SCHEMA if own_sampling else _SCHEMA.remove(_SCHEMA.get_field_index(_OWN.name))
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in groups:
            rows = [
                item._asdict()
                | {
                    "messages": json.dumps([list(message) for message in item.messages]),
                    "expect": json.dumps(item.expect, sort_keys=True),
                }
                for item in group
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    write_atomic(path, sink.getvalue().to_pybytes())


class Items(Mapping[tuple[str, str], StoredItem]):
    """items.parquet in memory: compact columns, and an item made when it is asked for.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    StoreError
        When the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._table = pq.read_table(path, schema=_SCHEMA).combine_chunks()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoreError(
                f"the items cannot be read ({first_line(error)})",
                place=Place(file=str(path)),
                remedy="Take the run directory from its backup, or run the screen again",
            ) from error
        self._rows: dict[str, dict[str, int]] = {}
        names = self._table.column("battery").to_pylist()
        for row, (battery, item) in enumerate(
            zip(names, self._table.column("item_id").to_pylist(), strict=True)
        ):
            self._rows.setdefault(battery, {})[item] = row
        # Few distinct expectations stand for many items.
        self._parsed: dict[str, JsonValue] = {}

    def __getitem__(self, key: tuple[str, str]) -> StoredItem:
        """Return one item by (battery, item id)."""
        row = self._rows[key[0]][key[1]]
        turns = json.loads(self._table.column("messages")[row].as_py())
        cluster: str = self._table.column("cluster")[row].as_py()
        chat: bool = self._table.column("chat")[row].as_py()
        group: str | None = self._table.column("group")[row].as_py()
        messages = tuple(Message(*turn) for turn in turns)
        own: str | None = self._table.column(_OWN.name)[row].as_py()
        return StoredItem(*key, cluster, messages, self.expect(*key), chat, group, own)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Iterate over keys in the order in which items were asked."""
        return ((battery, item) for battery, rows in self._rows.items() for item in rows)

    def __len__(self) -> int:
        """Return the number of items."""
        return sum(len(rows) for rows in self._rows.values())

    @property
    def own_sampling(self) -> bool:
        """Whether any item has sampling settings of its own."""
        column = self._table.column(_OWN.name)
        return bool(column.null_count < len(column))

    def row(self, battery: str, item_id: str) -> int:
        """Return the row of an item in the file.

        Raises
        ------
        KeyError
            When it was never asked.
        """
        return self._rows[battery][item_id]

    def expect(self, battery: str, item_id: str) -> JsonValue:
        """Return what the scorer compares an answer with."""
        text = self._table.column("expect")[self._rows[battery][item_id]].as_py()
        if text not in self._parsed:
            self._parsed[text] = json.loads(text)
        return self._parsed[text]

    def of(self, battery: str, *, split: bool = False) -> BatteryItems:
        """Return rows, ids, clusters and categories of one battery's items.

        Parameters
        ----------
        battery
            Its name.
        split
            Whether its endpoints are split by expectation; then each item's expectation is a text.
        """
        rows = self._rows.get(battery, {})
        first = next(iter(rows.values()), 0)
        part = self._table.slice(first, len(rows))
        strata = [str(self.expect(battery, item)) for item in rows] if split else None
        groups = part.column("group")
        return BatteryItems(
            first,
            np.asarray(part.column("item_id").to_pylist(), dtype=np.str_),
            np.asarray(part.column("cluster").to_pylist(), dtype=np.str_),
            None if strata is None else np.asarray(strata, dtype=np.str_),
            None if groups.null_count == len(rows) else np.asarray([g or "" for g in groups.to_pylist()]),
        )


@dataclass(frozen=True, slots=True)
class BatteryItems:
    """The items of one battery, in the order in which they were asked."""

    first: int
    """Row of the first one in items.parquet; the others follow it."""
    ids: NDArray[np.str_]
    clusters: NDArray[np.str_]
    """Both of shape (items,)."""
    strata: NDArray[np.str_] | None = None
    """The expectation of each item, where endpoints are split by it."""
    groups: NDArray[np.str_] | None = None
    """The category of each item, "" for none; None where no item has one."""

    def stratum_names(self) -> tuple[str | None, ...]:
        """Return the strata in the order in which they are first asked; (None,) where there are none."""
        return (None,) if self.strata is None else tuple(dict.fromkeys(self.strata.tolist()))

    def rows_of(self, stratum: str | None) -> NDArray[np.int64]:
        """Return the places, from 0, of the items of a stratum; all for None."""
        if stratum is None or self.strata is None:
            return np.arange(len(self.ids))
        return np.flatnonzero(self.strata == stratum)


def _seed(sampling: Sampling, key: SampleKey) -> int:
    """Return the seed of one item and repeat: independent of order, batch and resumption."""
    text = "\x1f".join(map(str, (sampling.seed, *key)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def read_requests(path: Path, sampling: Sampling, system_prompt: str | None = None) -> list[Request]:
    """Return all requests of a run: every item, `sampling.n` times."""
    return list(requests_for(Items(path).values(), sampling, system_prompt))


def requests_for(
    items: Iterable[StoredItem], sampling: Sampling, system_prompt: str | None = None
) -> Iterator[Request]:
    """Yield the requests of items, each `sampling.n` times."""
    first = (Message("system", system_prompt),) if system_prompt else ()
    for item in items:
        for repeat in range(sampling.n):
            key = SampleKey(item.battery, item.item_id, repeat)
            yield Request(key, (*first, *item.messages), _seed(sampling, key), item.chat, item.sampling)
