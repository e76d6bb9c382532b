"""One arm's samples as aligned arrays: some dozens of bytes per sample, whatever the answers' length.

Answers are compared by digest; the few that differ are read again (:func:`read_answers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tais.analysis.telemetry import TELEMETRY_COLUMNS, Telemetry
from tais.errors import Place, StoreError
from tais.rundir.items import Items
from tais.rundir.samples import read_batches

__all__ = ["Answer", "ArmTable", "load_arm", "read_answers"]

_COLUMNS = (
    "battery",
    "item_id",
    "repeat",
    "prompt_digest",
    "text",
    "text_raw",
    "finish_reason",
    "parts",
    *TELEMETRY_COLUMNS,
)
_DIGEST_BYTES = 16

Digests = NDArray[np.uint64]
"""Shape (n, 2): blake2b of 128 bits per sample; zero where there is nothing to digest."""


@dataclass(frozen=True, slots=True)
class ArmTable:
    """All samples of one arm, sorted by key. All arrays have n rows."""

    keys: NDArray[np.int64]
    """Row of the item in items.parquet, times the repeats, plus the repeat: equal in all arms."""
    prompts: Digests
    tokens: Digests
    text: Digests
    """Of text and token ids each with what was said outside the content, where anything was."""
    cut: NDArray[np.bool_]
    """Whether an answer ended at the limit of its length."""
    values: NDArray[np.float64]
    invalid: NDArray[np.bool_]
    telemetry: Telemetry
    bare: Digests | None = None
    """Of the token ids but the last, which may be an end token that a log leaves out; None: not needed."""

    def between(self, first: int, last: int) -> ArmTable:
        """Return the samples with keys in [first, last)."""
        return self.part(slice(*np.searchsorted(self.keys, [first, last])))

    def part(self, part: slice | NDArray[np.bool_]) -> ArmTable:
        """Return some of the samples, in their order."""
        return ArmTable(
            self.keys[part],
            self.prompts[part],
            self.tokens[part],
            self.text[part],
            self.cut[part],
            self.values[part],
            self.invalid[part],
            self.telemetry,
            None if self.bare is None else self.bare[part],
        )


def load_arm(
    arm: str,
    arm_dir: Path,
    items: Items,
    repeats: int,
    scores: Path | None,
    batteries: Collection[str] | None = None,
    *,
    bare: bool = False,
) -> ArmTable:
    """Read an arm's samples and scores, in one pass over each; without scores, all values are 0.

    Only those of some batteries, where any are named; `bare` where ids are wanted without the last, too.

    Raises
    ------
    StoreError
        When a part is damaged, a key is stored twice, an item was never asked, or a score is missing.
    """
    telemetry = Telemetry()
    keys, parts, cuts = [], [], [np.zeros(0, dtype=np.bool_)]
    for batch in read_batches(arm_dir, _COLUMNS):
        if batteries is not None:
            batch = batch.filter(pc.is_in(batch.column("battery"), pa.array(sorted(batteries), pa.string())))
        keys.append(_keys(batch, items, repeats, arm_dir))
        ends = [_tokens(batch, left_out=1)] if bare else []
        parts.append((_prompts(batch), _tokens(batch), _text(batch), *ends))
        cuts.append(pc.equal(batch.column("finish_reason"), "length").to_numpy(zero_copy_only=False))
        telemetry.add(batch)
    own = np.concatenate(keys) if keys else np.zeros(0, dtype=np.int64)
    order = np.argsort(own, kind="stable")
    own = own[order]
    if (own[1:] == own[:-1]).any():
        raise StoreError(
            "a sample is stored twice", place=Place(file=str(arm_dir)), remedy="Run the screen again"
        )
    none = np.zeros((0, 2), dtype=np.uint64)
    prompts, tokens, text, *short = (
        np.concatenate([none, *(part[i] for part in parts)])[order] for i in range(4 if bare else 3)
    )
    values, invalid = np.zeros(len(own)), np.zeros(len(own), dtype=np.bool_)
    if scores is not None:
        values, invalid = _scores(arm, scores, own, items, repeats)
    cut = np.concatenate(cuts)[order]
    return ArmTable(own, prompts, tokens, text, cut, values, invalid, telemetry, *short)


def _keys(batch: pa.RecordBatch, items: Items, repeats: int, where: Path) -> NDArray[np.int64]:
    pairs = zip(batch.column("battery").to_pylist(), batch.column("item_id").to_pylist(), strict=True)
    try:
        rows = np.fromiter((items.row(*pair) for pair in pairs), dtype=np.int64, count=len(batch))
    except KeyError as error:
        raise StoreError(f"item {error.args[0]!r} was never asked", place=Place(file=str(where))) from error
    keys: NDArray[np.int64] = rows * repeats + batch.column("repeat").to_numpy().astype(np.int64)
    return keys


def _digests(buffers: Iterator[Any], n: int) -> Digests:
    digest: Callable[..., Any] = hashlib.blake2b
    joined = b"".join(
        digest(b, digest_size=_DIGEST_BYTES).digest() if b is not None else bytes(_DIGEST_BYTES)
        for b in buffers
    )
    return np.frombuffer(joined, dtype=np.uint64).reshape(n, 2)


def _prompts(batch: pa.RecordBatch) -> Digests:
    column = batch.column("prompt_digest").to_pylist()
    return _digests((text.encode() or None for text in column), len(column))


def _tokens(batch: pa.RecordBatch, left_out: int = 0) -> Digests:
    column = batch.column("token_ids")
    values = memoryview(column.values.to_numpy().tobytes())
    ends = column.offsets.to_numpy() * 4
    known = column.is_valid().to_pylist()
    last = np.maximum(ends[:-1], ends[1:] - 4 * left_out)
    listed = (values[ends[i] : last[i]] if known[i] else None for i in range(len(column)))
    return _digests(_with_parts(listed, batch), len(column))


def _text(batch: pa.RecordBatch) -> Digests:
    # Text that is not valid Unicode is kept beside, as bytes.
    column = pc.coalesce(batch.column("text_raw"), batch.column("text").cast(pa.binary()))
    return _digests(_with_parts(column.to_pylist(), batch), len(column))


def _with_parts(buffers: Iterable[Any], batch: pa.RecordBatch) -> Iterator[Any]:
    """Yield what is digested: with what was said outside the content behind it, where anything was."""
    for buffer, parts in zip(buffers, batch.column("parts").to_pylist(), strict=True):
        # A mark that no UTF-8 and no list of four-byte ids ends in.
        yield buffer if parts is None or buffer is None else bytes(buffer) + b"\xff" + parts.encode()


def _scores(
    arm: str, path: Path, keys: NDArray[np.int64], items: Items, repeats: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    own, values, invalid = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    with pq.ParquetFile(path) as file:
        columns = ["arm", "battery", "item_id", "repeat", "value", "invalid"]
        for batch in file.iter_batches(batch_size=65536, row_groups=_groups(file, arm), columns=columns):
            part = batch.filter(pc.equal(batch.column("arm"), arm))
            own.append(_keys(part, items, repeats, path))
            values.append(part.column("value").to_numpy())
            invalid.append(part.column("invalid").to_numpy(zero_copy_only=False))
    found = np.concatenate(own)
    order = np.argsort(found, kind="stable")
    if not np.array_equal(found[order], keys):
        raise StoreError("scores and samples do not belong together", place=Place(file=str(path)))
    return np.concatenate(values)[order], np.concatenate(invalid)[order]


def _groups(file: pq.ParquetFile, arm: str) -> list[int]:
    """Return the row groups that may hold rows of an arm: each was written for one, and says so."""
    index = file.schema_arrow.get_field_index("arm")
    kept = []
    for group in range(file.num_row_groups):
        told = file.metadata.row_group(group).column(index).statistics
        if told is None or not told.has_min_max or told.min <= arm <= told.max:
            kept.append(group)
    return kept


class Answer(NamedTuple):
    """One answer, read again because it differs."""

    token_ids: list[int] | None
    text: bytes
    top1: list[float] | None
    top2: list[float] | None
    drafted: list[int] | None = None
    accepted: list[int] | None = None
    parts: str | None = None

    def margin(self, position: int) -> float | None:
        """Return top-1 minus top-2 log-probability at a position; None where it is not known."""
        if self.top1 is None or self.top2 is None or position >= len(self.top1):
            return None
        return self.top1[position] - self.top2[position]

    def proposed(self, position: int) -> Literal["prefill", "draft", "correction", "bonus"] | None:
        """Return how the token at a position came about; None where the steps do not tell.

        The prompt's own pass gives the first token, and every step its accepted drafts and one more. An
        engine that lists only steps with a draft (ngram) leaves places that cannot be told apart.
        """
        if self.drafted is None or self.accepted is None or self.token_ids is None:
            return None
        if 1 + sum(accepted + 1 for accepted in self.accepted) < len(self.token_ids):
            return None
        end = 1
        if position < end:
            return "prefill"
        for drafted, accepted in zip(self.drafted, self.accepted, strict=True):
            end += accepted + 1
            if position < end - 1:
                return "draft"
            if position < end:
                return "bonus" if accepted == drafted else "correction"
        return None

    def token(self, position: int) -> int | None:
        """Return the token id at a position; None past the end or where ids are missing."""
        if self.token_ids is None or position >= len(self.token_ids):
            return None
        return self.token_ids[position]


def read_answers(arm_dir: Path, items: Items, repeats: int, keys: Collection[int]) -> dict[int, Answer]:
    """Return the answers with these keys, by key."""
    wanted = np.fromiter(keys, dtype=np.int64, count=len(keys))
    found: dict[int, Answer] = {}
    if not len(wanted):
        return found
    columns = (
        "battery", "item_id", "repeat", "token_ids", "text", "text_raw", "top1_logprobs", "top2_logprobs",
        "step_drafted", "step_accepted", "parts",
    )  # fmt: skip
    for batch in read_batches(arm_dir, columns):
        own = _keys(batch, items, repeats, arm_dir)
        rows = np.flatnonzero(np.isin(own, wanted))
        for key, row in zip(own[rows].tolist(), batch.take(pa.array(rows)).to_pylist(), strict=True):
            text = row["text_raw"] if row["text_raw"] is not None else row["text"].encode()
            steps = row["step_drafted"], row["step_accepted"]
            tops = row["top1_logprobs"], row["top2_logprobs"]
            found[key] = Answer(row["token_ids"], text, *tops, *steps, row["parts"])
    return found
