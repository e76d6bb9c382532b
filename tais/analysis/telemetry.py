"""What an arm drafted, and what of it was accepted: counted over its samples, or told by its engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tais.records import Counters
from tais.rundir.samples import read_counters
from tais.verdict.evidence import LengthAcceptance, TreatmentEvidence

__all__ = ["TELEMETRY_COLUMNS", "Telemetry"]

TELEMETRY_COLUMNS = ("token_ids", "step_drafted", "step_accepted", "prompt_tokens")
# Bounds of the classes of prompts, in tokens.
_LENGTHS = (128, 512, 2048, 8192, 32768)

Counts = NDArray[np.int64]


@dataclass(slots=True)
class Telemetry:
    """Running counts over the samples of one arm."""

    told: bool = False
    """Whether any sample tells its steps."""
    samples: int = 0
    answers: int = 0
    """Answers with token ids, and their tokens."""
    tokens: int = 0
    accepted_answers: int = 0
    """Answers with at least one accepted token."""
    drafts: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    per_position: tuple[int, ...] = ()
    """Accepted tokens by their place in the draft."""
    tried: tuple[int, ...] = ()
    """Tokens by their place in the draft, where the one before was accepted."""
    lengths: Counts = field(default_factory=lambda: np.zeros((len(_LENGTHS) + 1, 3), dtype=np.int64))
    """Answers, drafted and accepted tokens for each class of prompts."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Add some samples; one that tells nothing of its steps has null lists."""
        ids = batch.column("token_ids")
        self.samples += len(ids)
        self.answers += len(ids) - ids.null_count
        self.tokens += pc.sum(pc.list_value_length(ids)).as_py() or 0
        drafted, accepted = batch.column("step_drafted"), batch.column("step_accepted")
        if drafted.null_count == len(drafted):
            return
        self.told = True
        steps, taken = (_steps(column) for column in (drafted, accepted))
        sizes = pc.fill_null(pc.list_value_length(drafted), 0).to_numpy()
        rows = np.repeat(np.arange(len(drafted)), sizes)
        by_row = [
            np.bincount(rows, weights=x, minlength=len(drafted)).astype(np.int64) for x in (steps, taken)
        ]
        self.accepted_answers += int((by_row[1] > 0).sum())
        self.drafts += int((steps > 0).sum())
        self.draft_tokens += int(steps.sum())
        self.accepted_tokens += int(taken.sum())
        places = range(int(steps.max(initial=0)))
        # Position i is accepted in every step that accepts more than i tokens.
        self.per_position = _sum(self.per_position, [int((taken > i).sum()) for i in places])
        self.tried = _sum(self.tried, [int(((steps > i) & (taken >= i)).sum()) for i in places])
        self._add_lengths(batch.column("prompt_tokens"), by_row)

    def _add_lengths(self, column: pa.Array, by_row: Sequence[Counts]) -> None:
        known = column.is_valid().to_numpy(zero_copy_only=False)
        lengths = pc.fill_null(column, 0).to_numpy()
        classes = np.searchsorted(np.asarray(_LENGTHS), lengths, side="right")
        for index, weights in enumerate((np.ones(len(lengths), np.int64), *by_row)):
            found = np.bincount(classes[known], weights=weights[known], minlength=len(_LENGTHS) + 1)
            self.lengths[:, index] += found.astype(np.int64)

    def evidence(self, requested: str | None, resolved: str | None, arm_dir: Path) -> TreatmentEvidence:
        """Return the counts: per sample where they are told, else the engine's own counters per part.

        Samples first: an engine's counters also count drafts of answers that an interruption threw away.
        """
        if self.told:
            return TreatmentEvidence(
                requested,
                resolved,
                self.drafts,
                self.draft_tokens,
                self.accepted_tokens,
                self.per_position,
                self.tried,
                self.samples,
                self.accepted_answers,
                tuple(self._by_length()),
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
            _tried(counters),
            self.samples,
        )

    def _by_length(self) -> list[LengthAcceptance]:
        bounds = zip((0, *_LENGTHS), (*_LENGTHS, None), strict=True)
        return [
            LengthAcceptance(*bound, *map(int, counts))
            for bound, counts in zip(bounds, self.lengths, strict=True)
            if counts[0]
        ]


def _steps(column: pa.Array) -> Counts:
    found: Counts = pc.list_flatten(column).to_numpy().astype(np.int64)
    return found


def _sum(before: Sequence[int], more: Sequence[int]) -> tuple[int, ...]:
    return tuple(first + second for first, second in zip_longest(before, more, fillvalue=0))


def _tried(counters: Counters) -> tuple[int, ...]:
    """Return how often each position was tried, where an engine counts drafts and not steps.

    A draft cut short at the end of an answer counts as if it were whole: at most one an answer.
    """
    accepted = counters.accepted_per_position
    return (counters.drafts, *accepted[:-1]) if accepted else ()
