"""One arm's samples on one battery as aligned arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tais.errors import Place, StoreError
from tais.evidence import TreatmentEvidence
from tais.identity import Ragged
from tais.samples import SCHEMA, part_files, read_counters

__all__ = ["ArmTable", "Telemetry", "load_arm_table"]

_COLUMNS = [
    "item_id",
    "repeat",
    "prompt_digest",
    "token_ids",
    "text",
    "text_raw",
    "top1_logprobs",
    "top2_logprobs",
    "step_drafted",
    "step_accepted",
]


@dataclass(frozen=True, slots=True)
class ArmTable:
    """Samples of one arm on one battery, sorted by key. All arrays have shape (n,)."""

    keys: NDArray[np.int64]
    """Position of the item in the battery, times the repeats, plus the repeat: equal in all arms."""
    prompts: NDArray[np.object_]
    tokens: Ragged | None
    """None where an answer has no ids."""
    text: Ragged
    """UTF-8 bytes."""
    margins: Ragged | None
    """Top-1 minus top-2 log-probability per token, in nats; None where the engine tells none."""
    values: NDArray[np.float64]
    invalid: NDArray[np.bool_]

    def margin_at(self, row: int, position: int) -> float | None:
        """Return the logit margin of one sample at one position; None where it is not known."""
        if self.margins is None:
            return None
        index = self.margins.offsets[row] + position
        if index >= self.margins.offsets[row + 1]:
            return None
        return float(self.margins.values[index])

    def token_at(self, row: int, position: int) -> int | None:
        """Return a token id; None past the end of the answer or where ids are missing."""
        if self.tokens is None:
            return None
        index = self.tokens.offsets[row] + position
        return int(self.tokens.values[index]) if index < self.tokens.offsets[row + 1] else None


@dataclass(slots=True)
class Telemetry:
    """What an arm drafted, added up over batteries."""

    told: bool = False
    drafts: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    per_position: NDArray[np.int64] | None = None

    def add(self, drafted: pa.ChunkedArray, accepted: pa.ChunkedArray) -> None:
        """Add the steps of some samples; a sample that tells nothing has null lists."""
        if drafted.null_count == len(drafted):
            return
        self.told = True
        steps = pc.list_flatten(drafted).to_numpy()
        taken = pc.list_flatten(accepted).to_numpy()
        self.drafts += int((steps > 0).sum())
        self.draft_tokens += int(steps.sum())
        self.accepted_tokens += int(taken.sum())
        # Position i is accepted in every step that accepts more than i tokens.
        width = int(steps.max(initial=0))
        counts = np.array([int((taken > i).sum()) for i in range(width)], dtype=np.int64)
        before = self.per_position if self.per_position is not None else np.zeros(0, dtype=np.int64)
        size = max(len(before), len(counts))
        self.per_position = np.pad(before, (0, size - len(before))) + np.pad(counts, (0, size - len(counts)))

    def evidence(self, requested: str | None, resolved: str | None, arm_dir: Path) -> TreatmentEvidence:
        """Return the counts: per sample where they are told, else the engine's own counters per part.

        Samples first: an engine's counters also count drafts of answers that an interruption threw away.
        """
        if self.told:
            positions = tuple(int(v) for v in self.per_position) if self.per_position is not None else ()
            return TreatmentEvidence(
                requested, resolved, self.drafts, self.draft_tokens, self.accepted_tokens, positions
            )
        counters = read_counters(arm_dir)
        if counters is None:
            return TreatmentEvidence(requested, resolved, None, None, None)
        return TreatmentEvidence(
            requested,
            resolved,
            counters.drafts,
            counters.draft_tokens,
            counters.accepted_tokens,
            counters.accepted_per_position,
        )


def load_arm_table(
    arm_dir: Path,
    battery: str,
    positions: Mapping[str, int],
    repeats: int,
    scores: pa.Table,
    telemetry: Telemetry,
) -> ArmTable:
    """Load one battery's samples of one arm.

    Parameters
    ----------
    arm_dir
        Directory of the arm's parts.
    battery
        Name of the battery.
    positions
        Item id to its position in the battery.
    repeats
        Samples per item.
    scores
        Rows of scores.parquet for this arm and battery.
    telemetry
        Takes what the arm drafted.

    Raises
    ------
    StoreError
        When a key is stored twice, an item is unknown, or a sample has no score.
    """
    files = part_files(arm_dir)
    table = (
        ds.dataset(files, format="parquet").to_table(columns=_COLUMNS, filter=ds.field("battery") == battery)
        if files
        else SCHEMA.empty_table().select(_COLUMNS)
    )
    keys = _keys(table, positions, repeats, arm_dir)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if len(keys) > 1 and (keys[1:] == keys[:-1]).any():
        raise StoreError(
            "a sample is stored twice", place=Place(file=str(arm_dir)), remedy="Run the screen again"
        )
    telemetry.add(table.column("step_drafted"), table.column("step_accepted"))
    table = table.take(pa.array(order))
    values, invalid = _scores(scores, keys, positions, repeats, arm_dir)
    return ArmTable(
        keys=keys,
        prompts=np.asarray(table.column("prompt_digest").to_pylist(), dtype=object),
        tokens=_ragged(table.column("token_ids")),
        text=_bytes(table),
        margins=_margins(table),
        values=values,
        invalid=invalid,
    )


def _keys(table: pa.Table, positions: Mapping[str, int], repeats: int, where: Path) -> NDArray[np.int64]:
    ids = table.column("item_id").to_pylist()
    unknown = next((item for item in ids if item not in positions), None)
    if unknown is not None:
        raise StoreError(f"item {unknown!r} was never asked", place=Place(file=str(where)))
    index = np.fromiter((positions[item] for item in ids), dtype=np.int64, count=len(ids))
    keys: NDArray[np.int64] = index * repeats + table.column("repeat").to_numpy().astype(np.int64)
    return keys


def _scores(
    scores: pa.Table, keys: NDArray[np.int64], positions: Mapping[str, int], repeats: int, where: Path
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    own = _keys(scores, positions, repeats, where)
    order = np.argsort(own, kind="stable")
    if not np.array_equal(own[order], keys):
        raise StoreError(
            "scores and samples do not belong together",
            place=Place(file=str(where)),
            remedy="Run `tais report --rescore`",
        )
    return scores.column("value").to_numpy()[order], scores.column("invalid").to_numpy()[order]


def _ragged(column: pa.ChunkedArray) -> Ragged | None:
    if column.null_count:
        return None
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    values, offsets = array.flatten(), array.offsets.to_numpy().astype(np.int64)
    return Ragged(values.to_numpy(), offsets - offsets[0])


def _bytes(table: pa.Table) -> Ragged:
    # Text that is not valid Unicode is kept beside, as bytes.
    column = pc.coalesce(table.column("text_raw"), table.column("text").cast(pa.binary()))
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.binary())
    array = array.cast(pa.large_binary())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    values = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return Ragged(values, ends)


def _margins(table: pa.Table) -> Ragged | None:
    first, second = table.column("top1_logprobs"), table.column("top2_logprobs")
    if first.null_count or second.null_count:
        return None
    best, other = _ragged(first), _ragged(second)
    assert best is not None
    assert other is not None
    return Ragged(best.values - other.values, best.offsets)
