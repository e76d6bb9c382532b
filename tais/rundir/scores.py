"""scores.parquet: its columns, and the scores of two arms side by side."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tais.records import SampleKey
from tais.rundir.samples import part_files

__all__ = [
    "CHANGED",
    "KEY",
    "SCHEMA",
    "answer_texts",
    "flipped_scores",
    "paired_scores",
    "sample_keys",
]

KEY = ["battery", "item_id", "repeat"]
"""Columns that name one answer of an arm."""

CHANGED = 0.5
"""A score in [0, 1] that moves this far has changed its mind; a binary one moves by 1."""

SCHEMA = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
        pa.field("scorer", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("invalid", pa.bool_(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
    ]
)


def paired_scores(
    scores: Path, reference: str, candidate: str, left_out: Collection[SampleKey] = ()
) -> pa.Table:
    """Return the scores of two arms side by side, matched by key; the candidate's end in ``_candidate``.

    Answers to be left out are no pair, see :func:`tais.rundir.asked.asked_otherwise`.
    """
    columns = [*KEY, "scorer", "value", "label"]
    stored = ds.dataset(scores, format="parquet")
    left, right = (
        stored.to_table(columns=columns, filter=ds.field("arm") == arm) for arm in (reference, candidate)
    )
    if left_out:
        columns_out = zip(KEY, zip(*left_out, strict=True), strict=True)
        types = {name: left.schema.field(name).type for name in KEY}
        out = pa.table({name: pa.array(values, types[name]) for name, values in columns_out})
        left = left.join(out, KEY, join_type="left anti")
    return left.join(right, KEY, join_type="inner", right_suffix="_candidate")


def flipped_scores(both: pa.Table) -> pa.Table:
    """Return the rows of :func:`paired_scores` in which the score has changed its mind."""
    change = pc.abs(pc.subtract(both.column("value"), both.column("value_candidate")))
    return both.filter(pc.fill_null(pc.greater_equal(change, CHANGED), False))


def sample_keys(table: pa.Table) -> list[SampleKey]:
    """Return which answer each row of a table is about."""
    return [SampleKey(*row) for row in zip(*(table.column(name).to_pylist() for name in KEY), strict=True)]


def answer_texts(arm_dir: Path | None, keys: Collection[SampleKey]) -> dict[SampleKey, str]:
    """Return the answers of one arm to some keys, and to other keys of the same items.

    What was said outside the text follows it, as the JSON that is stored.
    """
    files = part_files(arm_dir) if arm_dir is not None else []
    if not files or not keys:
        return {}
    wanted = ds.field("item_id").isin(sorted({key.item_id for key in keys}))
    stored = ds.dataset(files, format="parquet")
    # Older versions wrote no parts.
    columns = [name for name in ("text", "text_raw", "parts") if name in stored.schema.names]
    table = stored.to_table(columns=[*KEY, *columns], filter=wanted)
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return dict(zip(sample_keys(table), (_whole(*row) for row in rows), strict=True))


def _whole(text: str, raw: bytes | None, parts: str | None = None) -> str:
    whole = text if raw is None else raw.decode("utf-8", "surrogatepass")
    return whole if parts is None else f"{whole}\n{parts}" if whole else parts
