"""Files of an audit: what is to be scored (the worklist), and the scores, in parts as samples are.

``audits/<reference>/<stack>/`` holds ``worklist.parquet``, ``engine.json`` and ``part-*.parquet``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tais.common.files import write_atomic
from tais.errors import Place, StoreError
from tais.records import SampleKey, TokenScores
from tais.rundir.samples import TableWriter, read_batches

__all__ = [
    "OWN",
    "UNAVAILABLE",
    "WHOLE",
    "WORKLIST",
    "AuditKey",
    "Entry",
    "Scored",
    "Spans",
    "audit_writer",
    "own_key",
    "read_scores",
    "read_worklist",
    "stored_audits",
    "write_worklist",
]

UNAVAILABLE = "unavailable.json"
"""Says why a stack could not score."""

WORKLIST = "worklist.parquet"
"""In a stack's folder: what it is to score."""

_WORKLIST = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
        pa.field("first", pa.int32(), nullable=False),
        pa.field("count", pa.int32()),
    ]
)
_SCORES = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),
        pa.field("battery", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("repeat", pa.int32(), nullable=False),
        pa.field("first", pa.int32(), nullable=False),
        pa.field("prompt_fits", pa.bool_()),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("given", pa.list_(pa.float32()), nullable=False),
        # Row by row, as many per row as the division by the length of `given` says.
        pa.field("top_tokens", pa.list_(pa.int32()), nullable=False),
        pa.field("top_scores", pa.list_(pa.float32()), nullable=False),
        # Of an answer that is scored to its end; not in parts that older versions wrote.
        pa.field("asked", pa.int32()),
        pa.field("end", pa.string()),
    ]
)
_KEY = ("arm", "battery", "item_id", "repeat", "first")
_ALL = "*"
_SHOWN_ENDS = ("token", "stop", "limit", "appended")


class AuditKey(NamedTuple):
    """What identifies a scored span."""

    arm: str
    battery: str
    item_id: str
    repeat: int
    first: int


Entry = tuple[str, SampleKey, int, int | None]
"""A span to score: arm, sample, first token, number of tokens (None: to the end; 0: there is no answer).

Where both arms of a contrast are scored whole, the candidate's entries are its answers that differ: the
others are the reference's own, token for token, and are scored once.
"""

OWN = "@"
"""Stands before the name of a control, which no arm's name may hold: see :func:`own_key`."""

WHOLE = SampleKey(_ALL, "", 0)
"""Stands for every answer of an arm, whole."""


def own_key(control: str) -> str:
    """Return what stands for an arm where a reference's own answers are scored as a control."""
    return f"{OWN}{control}"


@dataclass(slots=True)
class Spans:
    """What is to be scored of one arm."""

    whole: bool = False
    listed: dict[SampleKey, list[tuple[int, int | None]]] = field(default_factory=dict)

    def of(self, key: SampleKey) -> Iterable[tuple[int, int | None]]:
        """Return the spans of one answer: first token and number of tokens, None to the end."""
        if self.whole:
            return ((0, None),)
        return (span for span in self.listed.get(key, ()) if span[1] != 0)


def write_worklist(path: Path, entries: Iterable[Entry]) -> None:
    """Write what is to be scored."""
    columns: list[list[object]] = [[] for _ in _WORKLIST]
    for arm, key, first, count in entries:
        for column, value in zip(columns, (arm, *key, first, count), strict=True):
            column.append(value)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=_WORKLIST), sink, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, sink.getvalue().to_pybytes())


def read_worklist(path: Path) -> Mapping[str, Spans]:
    """Return what is to be scored, by arm in the order written."""
    spans: dict[str, Spans] = {}
    for row in pq.read_table(path, schema=_WORKLIST).to_pylist():
        own = spans.setdefault(row["arm"], Spans())
        if row["battery"] == _ALL:
            own.whole = True
        else:
            key = SampleKey(row["battery"], row["item_id"], row["repeat"])
            own.listed.setdefault(key, []).append((row["first"], row["count"]))
    return spans


def audit_writer(folder: Path, fits: Callable[[TokenScores], bool | None]) -> TableWriter[TokenScores]:
    """Return the writer of an audit's parts."""

    def row(scores: TokenScores) -> dict[str, object]:
        return {
            "arm": scores.request.arm,
            **scores.request.request.key._asdict(),
            "first": scores.request.first,
            "prompt_fits": fits(scores),
            "tokens": scores.request.answer[scores.request.first :][: len(scores.given)],
            "given": scores.given,
            "top_tokens": scores.top_tokens.ravel(),
            "top_scores": scores.top_scores.ravel(),
            "asked": len(scores.request.answer) - scores.request.first,
            "end": scores.request.end,
        }

    return TableWriter(folder, _SCORES, row)


def stored_audits(folder: Path) -> set[AuditKey]:
    """Return the keys of all spans that are scored already."""
    return {
        AuditKey(*row)
        for batch in read_batches(folder, _KEY, batch_size=65536)
        for row in zip(*(batch.column(name).to_pylist() for name in _KEY), strict=True)
    }


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored span, as stored."""

    key: AuditKey
    prompt_fits: bool | None
    tokens: NDArray[np.int32]
    given: NDArray[np.float32]
    """Token ids and their scores, shape (n,)."""
    top_tokens: NDArray[np.int32]
    top_scores: NDArray[np.float32]
    """Both of shape (n, k)."""
    whole: bool = False
    """Whether it is an answer scored to its end, the end itself with it."""
    no_room: bool = False
    """Whether no answer to this prompt could be."""
    other_text: bool = False
    """Whether the answer says something else than its tokens do, or more: they are then not scored."""

    @property
    def sample(self) -> SampleKey:
        """Key of the sample."""
        return SampleKey(*self.key[1:4])

    def first(self, n: int) -> Scored:
        """Return the first n tokens."""
        if n == len(self.given):
            return self
        top = self.top_tokens[:n], self.top_scores[:n]
        return replace(
            self,
            tokens=self.tokens[:n],
            given=self.given[:n],
            top_tokens=top[0],
            top_scores=top[1],
            whole=False,
        )

    @property
    def margins(self) -> NDArray[np.float32]:
        """How far each token given lies below the best, shape (n,); 0 is best, alone or tied."""
        if not len(self.given):
            # Nothing was scored, and how many were best is not known either.
            return np.zeros(0, dtype=np.float32)
        found: NDArray[np.float32] = np.maximum(self.top_scores[:, 0] - self.given, 0)
        return found


def read_scores(folder: Path) -> Iterator[Scored]:
    """Stream the scored spans of one stack.

    Raises
    ------
    StoreError
        When a part is damaged.
    """
    for batch in read_batches(folder, batch_size=1024):
        keys = zip(*(batch.column(name).to_pylist() for name in _KEY), strict=True)
        fits = batch.column("prompt_fits").to_pylist()
        ends = batch.column("end").to_pylist() if "end" in batch.schema.names else [None] * len(batch)
        asked = batch.column("asked").to_pylist() if "asked" in batch.schema.names else [None] * len(batch)
        for index, key in enumerate(keys):
            given = _values(batch, "given", index)
            tokens, scores = (_values(batch, name, index) for name in ("top_tokens", "top_scores"))
            if len(tokens) != len(scores) or (len(given) and len(tokens) % len(given)):
                raise StoreError("scores of unequal length", place=Place(file=str(folder), key=str(key)))
            shape = (len(given), len(tokens) // max(1, len(given)))
            own = _values(batch, "tokens", index)
            top = tokens.reshape(shape), scores.reshape(shape)
            whole = ends[index] in _SHOWN_ENDS and asked[index] == len(given)
            kinds = whole, ends[index] == "no_room", ends[index] == "other_text"
            yield Scored(AuditKey(*key), fits[index], own, given, *top, *kinds)


def _values(batch: pa.RecordBatch, name: str, index: int) -> NDArray[Any]:
    column = batch.column(name)
    first, last = column.offsets[index].as_py(), column.offsets[index + 1].as_py()
    values: NDArray[Any] = column.values[first:last].to_numpy(zero_copy_only=False)
    return values
