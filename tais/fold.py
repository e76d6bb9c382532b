"""A run directory folded into the evidence that the decision reads.

Works battery by battery, so that memory holds one battery's samples, whatever their number in all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tais.arm_table import ArmTable, Telemetry, load_arm_table
from tais.engines.resolved import compare_resolved
from tais.evidence import (
    ContrastEvidence,
    Divergence,
    EndpointEvidence,
    Finding,
    IdentityCounts,
    ScreenEvidence,
)
from tais.identity import SAME, first_differences
from tais.items import StoredItem
from tais.manifest import Role, Rules
from tais.scorers import Scorer
from tais.treatment import speculation_findings, speculation_modes

__all__ = ["RunLayout", "fold_run"]

# More than anyone reads; the counts are of all.
_DIVERGENCES_KEPT = 1000
_NAMED = 5


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where a run's parts lie."""

    run_dir: Path
    scores: Path
    """scores.parquet of the run, or a fresh one elsewhere."""

    def arm_dir(self, arm: str) -> Path:
        """Return the directory of an arm's parts."""
        return self.run_dir / "arms" / arm

    def engine(self, arm: str) -> dict[str, Any]:
        """Return an arm's engine.json; empty where the arm never started."""
        path = self.arm_dir(arm) / "engine.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return loaded


@dataclass(slots=True)
class _Contrast:
    """What one contrast has gathered so far."""

    identity: list[IdentityCounts] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    endpoints: list[EndpointEvidence] = field(default_factory=list)
    drifted: Counter[str] = field(default_factory=Counter)
    drifted_items: list[str] = field(default_factory=list)


def fold_run(
    layout: RunLayout,
    lock: Mapping[str, Any],
    items: Mapping[tuple[str, str], StoredItem],
    scorers: Mapping[str, Scorer],
    facts: dict[str, Any],
) -> ScreenEvidence:
    """Return the evidence of a run.

    Parameters
    ----------
    layout
        The run directory.
    lock
        Its lock.
    items
        Items by (battery, item id), in the order asked.
    scorers
        Scorer of each battery.
    facts
        Provenance for the report.

    Raises
    ------
    StoreError
        When samples and scores do not belong together.
    """
    telemetry: dict[str, Telemetry] = {}
    gathered = [_Contrast() for _ in lock["contrasts"]]
    for battery in lock["batteries"]:
        own = [item for item in items.values() if item.battery == battery["name"]]
        tables = _tables(layout, lock, battery["name"], own, telemetry)
        for contrast, found in zip(lock["contrasts"], gathered, strict=True):
            pair = _Pair(
                tables[contrast["reference"]], tables[contrast["candidate"]], own, lock["sampling"]["n"]
            )
            found.identity.append(pair.identity(battery["name"]))
            room = _DIVERGENCES_KEPT - len(found.divergences)
            found.divergences.extend(pair.divergences(battery["name"], room))
            found.endpoints.append(pair.endpoint(battery, scorers[battery["name"]]))
            pair.note_prompts(battery["name"], found)
    contrasts = tuple(
        _evidence(layout, lock, contrast, found, telemetry)
        for contrast, found in zip(lock["contrasts"], gathered, strict=True)
    )
    return ScreenEvidence(lock["name"], Rules.model_validate(lock["rules"]), contrasts, facts=facts)


def _tables(
    layout: RunLayout,
    lock: Mapping[str, Any],
    battery: str,
    items: list[StoredItem],
    telemetry: dict[str, Telemetry],
) -> dict[str, ArmTable]:
    positions = {item.item_id: index for index, item in enumerate(items)}
    arms = sorted({contrast[side] for contrast in lock["contrasts"] for side in ("reference", "candidate")})
    scores = ds.dataset(layout.scores, format="parquet")
    return {
        arm: load_arm_table(
            layout.arm_dir(arm),
            battery,
            positions,
            lock["sampling"]["n"],
            scores.to_table(filter=(ds.field("battery") == battery) & (ds.field("arm") == arm)),
            telemetry.setdefault(arm, Telemetry()),
        )
        for arm in arms
    }


class _Pair:
    """Both arms' samples of one battery, aligned by key."""

    def __init__(
        self, reference: ArmTable, candidate: ArmTable, items: list[StoredItem], repeats: int
    ) -> None:
        self.reference, self.candidate = reference, candidate
        self.items, self.repeats = items, repeats
        self.keys, self.rows, self.columns = np.intersect1d(
            reference.keys, candidate.keys, assume_unique=True, return_indices=True
        )
        self.by_token = reference.tokens is not None and candidate.tokens is not None
        self.text = first_differences(reference.text, candidate.text, self.rows, self.columns)
        self.positions = self.text
        if reference.tokens is not None and candidate.tokens is not None:
            self.positions = first_differences(reference.tokens, candidate.tokens, self.rows, self.columns)

    def _item(self, index: int) -> tuple[StoredItem, int]:
        key = int(self.keys[index])
        return self.items[key // self.repeats], key % self.repeats

    def identity(self, battery: str) -> IdentityCounts:
        same, same_text = int((self.positions == SAME).sum()), int((self.text == SAME).sum())
        return IdentityCounts(battery, len(self.keys), same, same_text)

    def divergences(self, battery: str, limit: int) -> Iterator[Divergence]:
        # Equal tokens with unequal text are a divergence too: of the detokeniser.
        differing = (self.positions != SAME) | (self.text != SAME)
        for index in np.flatnonzero(differing)[: max(0, limit)]:
            item, repeat = self._item(index)
            by_token = self.by_token and self.positions[index] != SAME
            position = int(self.positions[index] if by_token else self.text[index])
            row, column = int(self.rows[index]), int(self.columns[index])
            yield Divergence(
                battery=battery,
                item_id=item.item_id,
                repeat=repeat,
                position=position,
                unit="token" if by_token else "byte",
                reference_token=self.reference.token_at(row, position) if by_token else None,
                candidate_token=self.candidate.token_at(column, position) if by_token else None,
                reference_margin=self.reference.margin_at(row, position) if by_token else None,
                candidate_margin=self.candidate.margin_at(column, position) if by_token else None,
            )

    def endpoint(self, battery: Mapping[str, Any], scorer: Scorer) -> EndpointEvidence:
        items = [self._item(index)[0] for index in range(len(self.keys))]
        return EndpointEvidence(
            battery=battery["name"],
            scorer=scorer.name,
            kind=scorer.kind,
            item_ids=np.array([item.item_id for item in items], dtype=np.str_),
            clusters=np.array([item.cluster for item in items], dtype=np.str_),
            reference=self.reference.values[self.rows],
            candidate=self.candidate.values[self.columns],
            reference_invalid=self.reference.invalid[self.rows],
            candidate_invalid=self.candidate.invalid[self.columns],
            reference_only=len(self.reference.keys) - len(self.keys),
            candidate_only=len(self.candidate.keys) - len(self.keys),
            margin=battery["margin"],
        )

    def note_prompts(self, battery: str, found: _Contrast) -> None:
        left: NDArray[np.object_] = self.reference.prompts[self.rows]
        right: NDArray[np.object_] = self.candidate.prompts[self.columns]
        # An imported answer comes without its prompt.
        drifted = np.flatnonzero((left != right) & (left != "") & (right != ""))
        if len(drifted):
            found.drifted[battery] += len(drifted)
            room = _NAMED - len(found.drifted_items)
            found.drifted_items.extend(self._item(index)[0].item_id for index in drifted[:room])


def _evidence(
    layout: RunLayout,
    lock: Mapping[str, Any],
    contrast: Mapping[str, Any],
    found: _Contrast,
    telemetry: Mapping[str, Telemetry],
) -> ContrastEvidence:
    reference, candidate = contrast["reference"], contrast["candidate"]
    engines = layout.engine(reference), layout.engine(candidate)
    arm = lock["arms"][candidate]
    modes = speculation_modes(arm["speculative_config"], engines[1])
    return ContrastEvidence(
        reference=reference,
        candidate=candidate,
        role=Role(contrast["role"]),
        lossless=contrast["lossless"],
        identity=tuple(found.identity),
        divergences=tuple(found.divergences),
        treatment=telemetry[candidate].evidence(*modes, layout.arm_dir(candidate)),
        endpoints=tuple(found.endpoints),
        findings=(
            *_prompt_findings(found, contrast),
            *speculation_findings(arm["speculative_config"], engines[1]),
            *_configuration_findings(engines, contrast),
        ),
    )


def _prompt_findings(found: _Contrast, contrast: Mapping[str, Any]) -> Iterator[Finding]:
    if not found.drifted:
        return
    total = sum(found.drifted.values())
    named = ", ".join(found.drifted_items)
    # Where the arms are meant to have another model or template, their prompts may differ.
    keys = [key.split(".")[0] for key in contrast["differences"]]
    meant = any(key in ("model", "tokenizer", "chat_template", "system_prompt") for key in keys)
    yield Finding(
        code="prompt_drift",
        message=f"{total} prompts differ in their tokens between the arms (first: {named})",
        values={"items": total, "batteries": dict(found.drifted), "first": found.drifted_items},
        blocks_pass=not meant,
    )


def _configuration_findings(
    engines: tuple[dict[str, Any], dict[str, Any]], contrast: Mapping[str, Any]
) -> Iterator[Finding]:
    if not all(engines):
        return
    declared = tuple(contrast["differences"])
    for part, what in (("resolved", "engine configuration"), ("environment", "environment")):
        differing = compare_resolved(engines[0].get(part, {}), engines[1].get(part, {}), declared)
        if differing:
            first = differing[0]
            yield Finding(
                code=f"{part}_differs",
                message=f"the {what} differs in more than the manifest says: {len(differing)} fields, "
                f"first {first.key} ({first.reference!r} against {first.candidate!r})",
                values={"fields": [difference._asdict() for difference in differing[:50]]},
            )
