"""The items that came out differently, with both answers: from a run's files into its report.

A report keeps what people read, not the run: the number of items and the length of texts are capped,
what was left out is counted, and the rest stands in the parquet files beside the report.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tais.analysis.first_difference import first_difference
from tais.manifest.model import Role
from tais.records import SampleKey
from tais.rundir.items import StoredItem, prompt_text
from tais.rundir.scores import answer_texts, flipped_scores, paired_scores, sample_keys
from tais.verdict.report import ContrastReport, ItemReport, ItemsReport, Report, TextReport

__all__ = ["Limits", "with_items"]

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a run goes into its report."""

    flipped: int = 500
    diverging: int = 300
    """Items per contrast of the role `screen`."""
    flipped_elsewhere: int = 100
    diverging_elsewhere: int = 50
    """Items per contrast of another role."""
    items: int = 1200
    """Items in all."""
    characters: int = 1600
    """Of each text."""
    before: int = 400
    """Characters kept in front of the first difference."""

    def room(self, role: Role) -> tuple[int, int]:
        """Return how many flipped and how many diverging items a contrast may keep."""
        if role is Role.screen:
            return self.flipped, self.diverging
        return self.flipped_elsewhere, self.diverging_elsewhere


class _Outcome(NamedTuple):
    value: float | None
    label: str


_Outcomes = Mapping[SampleKey, tuple[_Outcome, _Outcome]]


def with_items(
    report: Report,
    arm_dirs: Mapping[str, Path],
    scores: Path,
    items: Mapping[tuple[str, str], StoredItem],
    limits: Limits | None = None,
    left_out: Mapping[tuple[str, str], Collection[SampleKey]] = MappingProxyType({}),
) -> Report:
    """Return the report with the flipped and diverging items of every contrast.

    Parameters
    ----------
    report
        A decided report.
    arm_dirs
        Directory of each arm's parts.
    scores
        scores.parquet of the same samples.
    items
        Items by (battery, item id), in the order asked.
    limits
        How much to keep.
    left_out
        Answers that are no pair, by reference and candidate.

    Returns
    -------
    Report
        The same decision; contrasts of the role `screen` take their items first.
    """
    limits = limits or Limits()
    order = {key: index for index, key in enumerate(items)}
    found: dict[int, ContrastReport] = {}
    room = limits.items
    split = {e.battery for c in report.contrasts for e in c.endpoints if e.stratum is not None}
    for index, contrast in sorted(enumerate(report.contrasts), key=lambda x: x[1].role is not Role.screen):
        unpaired = left_out.get((contrast.reference, contrast.candidate), ())
        picked = _pick(contrast, scores, order, limits, room, unpaired)
        kept = tuple(_items(contrast, picked, arm_dirs, items, limits, split))
        room -= len(kept)
        found[index] = contrast.model_copy(update={"items": _counted(picked, kept)})
    contrasts = tuple(found[index] for index in range(len(report.contrasts)))
    return report.model_copy(update={"contrasts": contrasts})


class _Picked(NamedTuple):
    flipped: int
    diverging: int
    keys: dict[SampleKey, bool]
    """Chosen keys in the order shown, and whether each flipped."""
    outcomes: _Outcomes


def _pick(
    contrast: ContrastReport,
    scores: Path,
    order: Mapping[tuple[str, str], int],
    limits: Limits,
    room: int,
    unpaired: Collection[SampleKey],
) -> _Picked:
    both = paired_scores(scores, contrast.reference, contrast.candidate, unpaired)
    flipped = _sorted(sample_keys(flipped_scores(both)), order)
    known = set(flipped)
    first = (SampleKey(d.battery, d.item_id, d.repeat) for d in contrast.identity.first_divergences)
    diverging = [key for key in dict.fromkeys(first) if key not in known]
    for_flipped, for_diverging = limits.room(contrast.role)
    chosen = list(islice(_in_turn(flipped), min(for_flipped, room)))
    chosen += islice(_in_turn(diverging), min(for_diverging, room - len(chosen)))
    # Divergences are listed up to a number, but counted to the last.
    others = max(len(diverging), contrast.identity.n - contrast.identity.identical - len(flipped))
    keys = {key: key in known for key in chosen}
    return _Picked(len(flipped), others, keys, _outcomes(both, keys))


def _counted(picked: _Picked, kept: tuple[ItemReport, ...]) -> ItemsReport:
    flipped = sum(item.flipped for item in kept)
    return ItemsReport(
        flipped=picked.flipped,
        diverging=picked.diverging,
        flipped_left_out=picked.flipped - flipped,
        diverging_left_out=picked.diverging - (len(kept) - flipped),
        kept=kept,
    )


def _sorted(keys: Iterable[SampleKey], order: Mapping[tuple[str, str], int]) -> list[SampleKey]:
    return sorted(keys, key=lambda key: (order.get(key[:2], len(order)), key))


def _in_turn(keys: Iterable[SampleKey]) -> Iterator[SampleKey]:
    """Take one item of each battery in turn, so that a long battery does not crowd out the others."""
    batteries: dict[str, list[SampleKey]] = {}
    for key in keys:
        batteries.setdefault(key.battery, []).append(key)
    for together in zip_longest(*batteries.values()):
        yield from (key for key in together if key is not None)


def _chosen_rows(table: pa.Table, keys: Iterable[SampleKey]) -> pa.Table:
    ids = pa.array(sorted({key.item_id for key in keys}), pa.string())
    return table.filter(pc.is_in(table.column("item_id"), ids))


def _outcomes(both: pa.Table, keys: Mapping[SampleKey, bool]) -> _Outcomes:
    rows = _chosen_rows(both, keys)
    sides = [
        [_Outcome(None if value is None or math.isnan(value) else value, label) for value, label in pairs]
        for pairs in (
            zip(rows.column(f"value{end}").to_pylist(), rows.column(f"label{end}").to_pylist(), strict=True)
            for end in ("", "_candidate")
        )
    ]
    return dict(zip(sample_keys(rows), zip(*sides, strict=True), strict=True))


def _items(
    contrast: ContrastReport,
    picked: _Picked,
    arm_dirs: Mapping[str, Path],
    items: Mapping[tuple[str, str], StoredItem],
    limits: Limits,
    split: Collection[str],
) -> Iterator[ItemReport]:
    left, right = (
        answer_texts(arm_dirs.get(arm), picked.keys) for arm in (contrast.reference, contrast.candidate)
    )
    for key, flipped in picked.keys.items():
        item = items.get(key[:2])
        # Evidence without answers of its own (teacher-forced) has nothing to lay side by side.
        if item is None or key not in left or key not in right or key not in picked.outcomes:
            continue
        position = first_difference(left[key], right[key])
        start = 0 if position is None else max(0, position - limits.before)
        reference, candidate = picked.outcomes[key]
        yield ItemReport(
            **key._asdict(),
            stratum=str(item.expect) if key.battery in split else None,
            flipped=flipped,
            prompt=_text(prompt_text(item), 0, limits),
            reference_text=_text(left[key], start, limits),
            candidate_text=_text(right[key], start, limits),
            reference_value=reference.value,
            candidate_value=candidate.value,
            reference_label=reference.label,
            candidate_label=candidate.label,
            first_difference=position,
        )


def _text(whole: str, start: int, limits: Limits) -> TextReport:
    # A short text is kept whole wherever the difference lies.
    start = start if len(whole) > limits.characters else 0
    kept = _SURROGATE.sub("\ufffd", whole[start : start + limits.characters])
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
    return TextReport(sha256=digest, characters=len(whole), start=start, text=kept)
