"""A run directory folded into the evidence that the decision reads.

Memory holds some dozens of bytes per sample: answers are compared by digest, and only those that differ
are read again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tais.arm_table import Answer, ArmTable, Digests, Telemetry, load_arm, read_answers
from tais.engines.resolved import compare_resolved
from tais.evidence import (
    ContrastEvidence,
    Divergence,
    EndpointEvidence,
    Finding,
    IdentityCounts,
    ScreenEvidence,
)
from tais.identity import first_difference
from tais.items import BatteryItems, Items
from tais.manifest import Role, Rules
from tais.scorers import ScorerBase
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
    differing: list[_Differing] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    endpoints: list[EndpointEvidence] = field(default_factory=list)
    drifted: Counter[str] = field(default_factory=Counter)
    drifted_items: list[str] = field(default_factory=list)

    def add(self, battery: Mapping[str, Any], scorer: ScorerBase, pair: _Pair) -> None:
        self.identity.append(pair.identity(battery["name"]))
        room = _DIVERGENCES_KEPT - len(self.differing)
        self.differing.extend(pair.differing(battery["name"], room))
        self.endpoints.append(pair.endpoint(battery, scorer))
        drifted = pair.drifted()
        if drifted:
            self.drifted[battery["name"]] += len(drifted)
            self.drifted_items.extend(drifted[: max(0, _NAMED - len(self.drifted_items))])


class _Differing(NamedTuple):
    battery: str
    item_id: str
    repeat: int
    key: int


def fold_run(
    layout: RunLayout,
    lock: Mapping[str, Any],
    items: Items,
    scorers: Mapping[str, ScorerBase],
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
        What was asked.
    scorers
        Scorer of each battery.
    facts
        Provenance for the report.

    Raises
    ------
    StoreError
        When samples and scores do not belong together.
    """
    repeats = lock["sampling"]["n"]
    used = sorted({contrast[side] for contrast in lock["contrasts"] for side in ("reference", "candidate")})
    tables = {arm: load_arm(arm, layout.arm_dir(arm), items, repeats, layout.scores) for arm in used}
    gathered = [_Contrast() for _ in lock["contrasts"]]
    for battery in lock["batteries"]:
        own = items.of(battery["name"])
        bounds = own.first * repeats, (own.first + len(own.ids)) * repeats
        for contrast, found in zip(lock["contrasts"], gathered, strict=True):
            sides = [tables[contrast[side]].between(*bounds) for side in ("reference", "candidate")]
            found.add(battery, scorers[battery["name"]], _Pair(sides[0], sides[1], own, repeats))
    for contrast, found in zip(lock["contrasts"], gathered, strict=True):
        found.divergences = _divergences(layout, items, repeats, contrast, found.differing)
    contrasts = tuple(
        _evidence(layout, lock, contrast, found, tables[contrast["candidate"]].telemetry)
        for contrast, found in zip(lock["contrasts"], gathered, strict=True)
    )
    return ScreenEvidence(lock["name"], Rules.model_validate(lock["rules"]), contrasts, facts=facts)


class _Pair:
    """Both arms' samples of one battery, aligned by key."""

    def __init__(self, reference: ArmTable, candidate: ArmTable, items: BatteryItems, repeats: int) -> None:
        self.reference, self.candidate = reference, candidate
        self.items, self.repeats = items, repeats
        self.same: NDArray[np.bool_]
        self.keys, self.rows, self.columns = np.intersect1d(
            reference.keys, candidate.keys, assume_unique=True, return_indices=True
        )
        self.same_text = self._same(reference.text, candidate.text)
        # No ids in one of the arms: the bytes of the text decide.
        by_token = self._known(reference.tokens, candidate.tokens)
        same_tokens = self._same(reference.tokens, candidate.tokens)
        self.same = np.where(by_token, same_tokens, self.same_text).astype(np.bool_)

    def _same(self, left: Digests, right: Digests) -> NDArray[np.bool_]:
        equal: NDArray[np.bool_] = (left[self.rows] == right[self.columns]).all(axis=1)
        return equal

    def _known(self, left: Digests, right: Digests) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.logical_and(
            left[self.rows].any(axis=1), right[self.columns].any(axis=1)
        )
        return known

    def _item(self, index: int) -> tuple[str, int]:
        """Return item id and repeat of a pair."""
        key = int(self.keys[index])
        return str(self.items.ids[key // self.repeats - self.items.first]), key % self.repeats

    def identity(self, battery: str) -> IdentityCounts:
        return IdentityCounts(battery, len(self.keys), int(self.same.sum()), int(self.same_text.sum()))

    def differing(self, battery: str, limit: int) -> Iterator[_Differing]:
        # Equal tokens with unequal text are a divergence too: of the detokeniser.
        for index in np.flatnonzero(~self.same | ~self.same_text)[: max(0, limit)]:
            yield _Differing(battery, *self._item(index), int(self.keys[index]))

    def endpoint(self, battery: Mapping[str, Any], scorer: ScorerBase) -> EndpointEvidence:
        items = self.keys // self.repeats - self.items.first
        return EndpointEvidence(
            battery=battery["name"],
            scorer=scorer.name,
            kind=scorer.kind,
            item_ids=self.items.ids[items],
            clusters=self.items.clusters[items],
            reference=self.reference.values[self.rows],
            candidate=self.candidate.values[self.columns],
            reference_invalid=self.reference.invalid[self.rows],
            candidate_invalid=self.candidate.invalid[self.columns],
            reference_only=len(self.reference.keys) - len(self.keys),
            candidate_only=len(self.candidate.keys) - len(self.keys),
            margin=battery["margin"],
        )

    def drifted(self) -> list[str]:
        """Return the ids of items whose prompts differ; an imported answer comes without its prompt."""
        left, right = self.reference.prompts, self.candidate.prompts
        return [
            self._item(index)[0]
            for index in np.flatnonzero(self._known(left, right) & ~self._same(left, right))
        ]


def _divergences(
    layout: RunLayout, items: Items, repeats: int, contrast: Mapping[str, Any], differing: list[_Differing]
) -> list[Divergence]:
    """Read the answers that differ once more, for the place and the tokens."""
    keys = {entry.key for entry in differing}
    sides = [
        read_answers(layout.arm_dir(contrast[side]), items, repeats, keys)
        for side in ("reference", "candidate")
    ]
    return [_divergence(entry, sides[0][entry.key], sides[1][entry.key]) for entry in differing]


def _divergence(entry: _Differing, reference: Answer, candidate: Answer) -> Divergence:
    position = None
    if reference.token_ids is not None and candidate.token_ids is not None:
        position = first_difference(reference.token_ids, candidate.token_ids)
    by_token = position is not None
    if position is None:
        position = first_difference(reference.text, candidate.text)
    assert position is not None, "digests differ, so the answers do"
    return Divergence(
        battery=entry.battery,
        item_id=entry.item_id,
        repeat=entry.repeat,
        position=position,
        unit="token" if by_token else "byte",
        reference_token=reference.token(position) if by_token else None,
        candidate_token=candidate.token(position) if by_token else None,
        reference_margin=reference.margin(position) if by_token else None,
        candidate_margin=candidate.margin(position) if by_token else None,
    )


def _evidence(
    layout: RunLayout,
    lock: Mapping[str, Any],
    contrast: Mapping[str, Any],
    found: _Contrast,
    telemetry: Telemetry,
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
        treatment=telemetry.evidence(*modes, layout.arm_dir(candidate)),
        endpoints=tuple(found.endpoints),
        findings=(
            *_prompt_findings(found, contrast),
            *speculation_findings(arm["speculative_config"], engines[1]),
            *_configuration_findings(engines, contrast),
        ),
        candidate_properties=_properties(arm),
    )


def _properties(arm: Mapping[str, Any]) -> dict[str, float]:
    """Return the numeric settings of an arm: what a dose-response may be looked for on."""
    settings = {**arm["engine_args"], **(arm["speculative_config"] or {})}
    return {
        key: float(value)
        for key, value in settings.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


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
