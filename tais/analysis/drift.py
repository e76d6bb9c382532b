"""Misses of a complete audit by item, with those of every honest control: the evidence of a drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tais.manifest.model import Role
from tais.records import SampleKey
from tais.rundir.audits import WORKLIST, Spans, read_scores, read_worklist
from tais.rundir.engine_record import UNKNOWN, read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedContrast
from tais.stats.drift import MissRate
from tais.stats.proportions import FloatArray
from tais.verdict.drift_evidence import BatchShape, DriftEvidence, HonestControl

__all__ = ["Item", "Noise", "fold_drift", "noise_of"]

Item = tuple[str, str]
"""Battery and id."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Misses of one arm under the reference stack, by item."""

    tokens: dict[Item, int] = field(default_factory=dict)
    misses: dict[Item, int] = field(default_factory=dict)
    margins: dict[Item, float] = field(default_factory=dict)
    """Sums over the tokens, each clipped."""

    def add(self, sample: SampleKey, tokens: int, misses: int, margin: float) -> None:
        """Add one answer; the repeats of an item are one."""
        item = sample.battery, sample.item_id
        self.tokens[item] = self.tokens.get(item, 0) + tokens
        self.misses[item] = self.misses.get(item, 0) + misses
        self.margins[item] = self.margins.get(item, 0.0) + margin

    def misses_of(self, items: Sequence[Item]) -> NDArray[np.int64]:
        """Return the misses of some items, in their order."""
        return np.array([self.misses[item] for item in items], np.int64)

    def margins_of(self, items: Sequence[Item]) -> FloatArray:
        """Return the clipped margins of some items, in their order."""
        return np.array([self.margins[item] for item in items], np.float64)

    @property
    def rate(self) -> MissRate:
        """Of all items."""
        items = list(self.tokens)
        return MissRate.of(np.array([self.tokens[i] for i in items], np.int64), self.misses_of(items))


def noise_of(run: RunDir, reference: str, arms: list[str], clip: float) -> Mapping[str, Noise]:
    """Return the misses of arms whose answers were scored whole under one reference stack.

    Parameters
    ----------
    run
        The run directory.
    reference
        Whose stack scored.
    arms
        Of complete audits, the reference among them. Answers that are the reference's own, token for token,
        were scored once and have its misses.
    clip
        Largest margin that counts whole.
    """
    folder = run.audit(reference)
    planned = read_worklist(folder / WORKLIST)
    answers: dict[str, dict[SampleKey, tuple[int, int, float]]] = {arm: {} for arm in arms}
    for scored in read_scores(folder):
        if scored.key.arm in answers and scored.prompt_fits is not False and not scored.key.first:
            margins = scored.margins
            clipped = float(np.minimum(margins, clip).sum())
            answers[scored.key.arm][scored.sample] = len(margins), int((margins > 0).sum()), clipped
    found = {}
    for arm in arms:
        # What is listed differs from the reference's answer, or one of the two is not there.
        listed = planned.get(arm, Spans()).listed
        shared = {} if arm == reference else {k: v for k, v in answers[reference].items() if k not in listed}
        noise = Noise()
        for sample, counts in (shared | answers[arm]).items():
            noise.add(sample, *counts)
        found[arm] = noise
    return found


def fold_drift(run: RunDir, lock: Lock, contrast: LockedContrast, band: float) -> DriftEvidence | None:
    """Return what is known of all misses of a candidate together; None without a complete audit."""
    if contrast.audit != "full" or lock.sampling.temperature > 0:
        return None
    reference, candidate = contrast.sides
    stack = read_engine(run.audit(reference))
    if not stack.started:
        return None
    controls = [reference, *_honest(lock, reference, candidate)]
    noise = noise_of(run, reference, [*controls, candidate], band)
    own, other = noise[reference], noise[candidate]
    items = [item for item in own.tokens if item in other.tokens]
    if not any(own.tokens[item] for item in items) or not other.rate.tokens:
        return None
    return DriftEvidence(
        stack.dtype,
        _dtype(run, lock, candidate),
        reference_misses=own.misses_of(items),
        candidate_misses=other.misses_of(items),
        reference_margins=own.margins_of(items),
        candidate_margins=other.margins_of(items),
        candidate=other.rate,
        shape=_shape(run, lock, candidate),
        controls=tuple(
            HonestControl(arm, noise[arm].rate, _shape(run, lock, arm))
            for arm in controls
            if noise[arm].rate.tokens
        ),
    )


def _honest(lock: Lock, reference: str, candidate: str) -> Iterator[str]:
    """Yield the arms that are declared to be the reference's own stack, and were scored whole."""
    for other in lock.contrasts:
        same = other.reference == reference and other.role is Role.calibration and other.audit == "full"
        if same and other.candidate != candidate:
            yield other.candidate


def _dtype(run: RunDir, lock: Lock, arm: str) -> str:
    said = read_engine(run.arm(arm)).dtype
    return said if said != UNKNOWN else lock.arms[arm].dtype or UNKNOWN


def _shape(run: RunDir, lock: Lock, arm: str) -> BatchShape:
    config = lock.arms[arm].speculative_config
    drafted = 0 if config is None else config.get("num_speculative_tokens", 0)
    rows = 1 + (drafted if isinstance(drafted, int) else 0)
    return BatchShape(rows, read_engine(run.arm(arm)).sequences)
