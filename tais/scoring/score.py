"""scores.parquet: every sample of every arm, scored by its battery's scorer.

second_scores.parquet is the same of the scorers that only look on, for the batteries that have any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tais.common.files import atomic_path, store_error
from tais.rundir.items import Items
from tais.rundir.samples import read_batches
from tais.rundir.scores import SCHEMA
from tais.scorers import Score, Scorer, ScorerBase, said_text, score_unique, scorer_label
from tais.scorers.judges import Judge
from tais.scoring.opened import opened_batteries
from tais.scoring.replies import Replies

__all__ = ["score_arms"]


_COLUMNS = ("battery", "item_id", "repeat", "text", "text_raw", "finish_reason", "parts")


def score_arms(
    path: Path,
    arm_dirs: Mapping[str, Path],
    scorers: Mapping[str, Sequence[ScorerBase]],
    items: Items,
    replies: Replies,
) -> None:
    """Score all samples and write the table, whole or not at all.

    Parameters
    ----------
    path
        Where scores.parquet goes.
    arm_dirs
        Directory of each arm's parts.
    scorers
        Scorers of each battery; the answers to one that has none here are passed over.
    items
        What was asked.
    replies
        What the judges of the run said.

    Raises
    ------
    StoreError
        When samples cannot be read or scores not written, or a judge has not replied.
    """
    try:
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
        ):
            known: dict[object, Score] = {}
            for arm in sorted(arm_dirs):
                opened = opened_batteries(arm_dirs[arm])
                for batch in read_batches(arm_dirs[arm], _COLUMNS):
                    for table in _score_batch(arm, batch, scorers, items, replies, opened, known):
                        writer.write_table(table)
    except OSError as error:
        raise store_error(error, path) from error


def _score_batch(
    arm: str,
    batch: pa.RecordBatch,
    scorers: Mapping[str, Sequence[ScorerBase]],
    items: Items,
    replies: Replies,
    opened: Collection[str],
    known: dict[object, Score],
) -> Iterator[pa.Table]:
    columns = {name: batch.column(name).to_pylist() for name in _COLUMNS}
    for battery in dict.fromkeys(columns["battery"]):
        rows = [i for i, name in enumerate(columns["battery"]) if name == battery]
        for scorer in scorers.get(battery, ()):
            yield _score_rows(arm, battery, rows, columns, scorer, items, replies, battery in opened, known)


def _score_rows(
    arm: str,
    battery: str,
    rows: Sequence[int],
    columns: Mapping[str, list[Any]],
    scorer: ScorerBase,
    items: Items,
    replies: Replies,
    opened: bool,
    known: dict[object, Score],
) -> pa.Table:
    ids = [columns["item_id"][i] for i in rows]
    raw = [columns["text_raw"][i] for i in rows]
    texts = [
        columns["text"][i] if r is None else r.decode("utf-8", "surrogatepass")
        for i, r in zip(rows, raw, strict=True)
    ]
    reasons, parts = ([columns[name][i] for i in rows] for name in ("finish_reason", "parts"))
    if isinstance(scorer, Judge):
        said = [said_text(*answer, opened=opened) for answer in zip(texts, reasons, parts, strict=True)]
        scores = replies.scores(scorer, arm, [items[battery, item_id] for item_id in ids], said)
    else:
        assert isinstance(scorer, Scorer), "what is no judge scores by itself"
        expects = [items.expect(battery, item_id) for item_id in ids]
        scores = score_unique(scorer, texts, expects, reasons, parts, opened=opened, known=known)
    n = len(rows)
    return pa.table(
        {
            "arm": [arm] * n,
            "battery": [battery] * n,
            "item_id": ids,
            "repeat": pa.array([columns["repeat"][i] for i in rows], pa.int32()),
            "scorer": [scorer_label(scorer)] * n,
            "value": scores.values,
            "invalid": scores.invalid,
            "label": list(scores.labels),
        },
        schema=SCHEMA,
    )
