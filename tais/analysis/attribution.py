"""Scores of an audit into evidence: how far tokens lie from the reference's choice, and why arms diverge.

Passes by score, never by token id: with a tie at the top, kernels name different tokens the best.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tais.analysis.planned_answers import PlannedBattery, judge_planned
from tais.analysis.planted import plant_tokens
from tais.records import SampleKey
from tais.rundir.audits import UNAVAILABLE, WORKLIST, Scored, own_key, read_scores, read_worklist
from tais.rundir.engine_record import read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import LockedContrast
from tais.rundir.samples import count_tokens
from tais.stats.draft_pull import tie_chance
from tais.stats.rounding_band import ROUNDOFF, Band, band
from tais.verdict.evidence import (
    Attribution,
    AuditCounts,
    AuditEvidence,
    BatteryAudit,
    Cause,
    Divergence,
    PlantedTokens,
)

__all__ = ["StackAudit", "fold_audit", "suspects"]


# Size of the logits behind log-probabilities, which do not tell it: rounding happened at that size.
_LOGITS = 32.0


@dataclass(slots=True)
class _Tally:
    """Running counts over scored spans."""

    tokens: int = 0
    ties: int = 0
    largest: float = 0.0
    scale: float = 0.0
    """Largest score seen, by magnitude."""
    margins: list[NDArray[np.float32]] = field(default_factory=list)
    """Of the misses."""

    def add(self, scored: Scored) -> None:
        margins = scored.margins
        if not len(margins):
            return
        self.tokens += len(margins)
        missed = margins[margins > 0]
        if len(missed):
            self.margins.append(missed)
        if scored.top_scores.shape[1] > 1:
            tied = scored.top_scores[:, 0] == scored.top_scores[:, 1]
            self.ties += int(((margins == 0) & tied).sum())
        self.largest = max(self.largest, float(margins.max()))
        self.scale = max(self.scale, float(np.abs(scored.top_scores[:, 0]).max()))

    def missed(self) -> NDArray[np.float32]:
        """Return the margins of all misses."""
        return np.concatenate([np.zeros(0, dtype=np.float32), *self.margins])

    def counts(self, band: float) -> AuditCounts:
        missed = self.missed()
        return AuditCounts(self.tokens, self.ties, len(missed), int((missed > band).sum()), self.largest)


@dataclass(slots=True)
class StackAudit:
    """The scores of one stack, and what its control says of rounding."""

    folder: Path
    dtype: str
    layers: int
    control: _Tally
    end_tokens: tuple[int, ...] = ()
    """Tokens that end an answer."""
    others_scale: float = 0.0
    """Largest score, by magnitude, that it gave in answers of others."""

    @classmethod
    def read(cls, run: RunDir, reference: str, stack: str, control: str | None = None) -> StackAudit | None:
        """Return the scores of a stack with the control counted; None where nothing was scored.

        The control are the answers of the reference's arm, or those that it gave for this purpose.
        """
        name = reference if control is None else own_key(control)
        folder = run.audit(reference, stack)
        engine = read_engine(folder)
        if not engine.started:
            return None
        tally, scale = _Tally(), 0.0
        for scored in read_scores(folder):
            if scored.key.arm == name and scored.prompt_fits is not False:
                tally.add(scored)
            elif len(scored.given):
                scale = max(scale, float(np.abs(scored.top_scores[:, 0]).max()))
        if engine.scores_are_logprobs:
            tally.scale = max(tally.scale, _LOGITS)
        return cls(folder, engine.dtype, engine.layers, tally, tuple(engine.end_tokens), scale)

    def band(self, run: RunDir, candidate: str) -> Band:
        """Return the band of a candidate: by the coarser of both dtypes, for the tokens that it gave."""
        coarsest = ROUNDOFF["bfloat16"]
        own = ROUNDOFF.get(self.dtype, coarsest)
        # Of a coarser candidate the control says nothing, nor does one without tokens: the residual stream
        # is rounded twice per layer, the output once. Else the control has seen what depth does, and the
        # output's rounding is left.
        eps = max(own, ROUNDOFF.get(read_engine(run.arm(candidate)).dtype, coarsest))
        # Without answers of its own the scores of others tell their size; of a coarser candidate, which may
        # be one that does not say its dtype, a band of that size would hide what it leaks.
        scale = self.control.scale or (self.others_scale if eps == own else 0.0)
        return band(
            self.control.missed(),
            eps,
            scale or 1.0,
            roundings=1 if eps == own and self.control.tokens else 2 * self.layers + 1,
            tokens_ratio=max(1, count_tokens(run.arm(candidate))) / max(1, self.control.tokens),
        )


def suspects(run: RunDir, contrast: LockedContrast) -> Iterator[tuple[SampleKey, int]]:
    """Yield sample and position of every token of a candidate that lies below the best beyond the band."""
    reference, arm = contrast.sides
    audit = StackAudit.read(run, reference, "own", contrast.control)
    if audit is None:
        return
    width = audit.band(run, arm).width
    for scored in read_scores(audit.folder):
        if scored.key.arm == arm and scored.prompt_fits is not False:
            for index in np.flatnonzero(scored.margins > width):
                yield scored.sample, scored.key.first + int(index)


@dataclass(slots=True)
class _Token:
    """What one stack says of one token of an answer."""

    margin: float
    top_tokens: NDArray[np.int32]
    top_scores: NDArray[np.float32]


@dataclass(slots=True)
class _Gathered:
    """One pass over the scores of the reference stack."""

    candidate: _Tally = field(default_factory=_Tally)
    prompts_differ: int = 0
    items: dict[str, set[str]] = field(default_factory=dict)
    beyond: dict[str, set[str]] = field(default_factory=dict)
    misses: list[tuple[SampleKey, int, float, int, int]] = field(default_factory=list)
    """Sample, position, margin, token and best token of what lies beyond the band in whole answers."""
    tokens: dict[tuple[str, SampleKey, int], _Token] = field(default_factory=dict)
    """What was said of the tokens asked for, by arm, sample and position."""


def fold_audit(
    run: RunDir,
    contrast: LockedContrast,
    divergences: Sequence[Divergence],
    left_out: int = 0,
    planned: Sequence[PlannedBattery] = (),
) -> AuditEvidence | None:
    """Return what the reference stack says of a candidate.

    Parameters
    ----------
    run
        The run directory.
    contrast
        As of the lock.
    divergences
        First differences of its answers.
    left_out
        Divergences that are not among those given.
    planned
        What was asked; of a candidate whose answers stand alone all of it counts.

    Returns
    -------
    AuditEvidence or None
        None where nothing was to be scored.
    """
    scope = contrast.audit
    if scope == "none" or (scope == "divergences" and not divergences):
        return None
    reference, candidate = contrast.sides
    audit = StackAudit.read(run, reference, "own", contrast.control)
    if audit is None:
        why = "the reference stack scored nothing"
        unknown = tuple(_attribution(d, d.unscored_cause) for d in divergences)
        none = AuditCounts()
        return AuditEvidence(scope, "unknown", 0.0, 0.0, none, none, (), unknown, left_out, unavailable=why)
    limit = audit.band(run, candidate)
    wanted = {
        (arm, SampleKey(d.battery, d.item_id, d.repeat), d.position)
        for d in divergences
        for arm in (reference, candidate)
    }
    whole = None if scope == "divergences" else _unlike(audit.folder, candidate)
    found = _gather(audit.folder, reference, candidate, limit.width, wanted, whole)
    lookup = _Lookup(run, contrast, audit, found, limit, wanted)
    causes = [lookup.attribute(d) for d in divergences]
    known = {(SampleKey(c.battery, c.item_id, c.repeat), c.position) for c in causes}
    causes += [lookup.miss(*miss) for miss in found.misses if miss[:2] not in known]
    return AuditEvidence(
        scope=scope,
        dtype=audit.dtype,
        band=limit.width,
        rounding=limit.rounding,
        sure=limit.sure,
        control=audit.control.counts(limit.width),
        candidate=found.candidate.counts(limit.width),
        batteries=_batteries(audit.folder, candidate, found, limit.width, planned if scope == "only" else ()),
        attributions=tuple(causes),
        left_out=left_out,
        downstream=sum(d.downstream for d in divergences),
        prompts_differ=found.prompts_differ,
        unavailable=lookup.unavailable,
        planted=_planted(run, contrast, audit.folder, limit.width) if scope == "only" else None,
    )


def _planted(run: RunDir, contrast: LockedContrast, folder: Path, band: float) -> PlantedTokens:
    draft = run.audit(contrast.reference, f"draft-{contrast.candidate}")
    own = contrast.reference if contrast.control is None else own_key(contrast.control)
    return plant_tokens(folder, own, contrast.candidate, band, draft if read_engine(draft).started else None)


def _batteries(
    folder: Path, candidate: str, found: _Gathered, band: float, planned: Sequence[PlannedBattery]
) -> tuple[BatteryAudit, ...]:
    if planned:
        return tuple(judge_planned(folder, candidate, band, planned))
    return tuple(
        BatteryAudit(name, len(items), len(found.beyond.get(name, ()))) for name, items in found.items.items()
    )


def _gather(
    folder: Path,
    reference: str,
    candidate: str,
    band: float,
    wanted: set[tuple[str, SampleKey, int]],
    unlike: Collection[SampleKey] | None = None,
) -> _Gathered:
    """Read the scores of one stack once.

    Parameters
    ----------
    folder
        Of the stack.
    reference, candidate
        Names of the arms.
    band
        Largest margin that is no miss.
    wanted
        Single tokens to remember: arm, sample, position.
    unlike
        Answers of the candidate that are not the reference's own, where whole answers are judged.
    """
    found = _Gathered()
    by_sample: dict[tuple[str, SampleKey], list[int]] = {}
    for arm, key, position in wanted:
        by_sample.setdefault((arm, key), []).append(position)
    for scored in read_scores(folder):
        arm, sample = scored.key.arm, scored.sample
        if arm not in (reference, candidate):
            continue
        if scored.prompt_fits is False:
            found.prompts_differ += arm == candidate
            continue
        if unlike is not None and (arm == candidate or sample not in unlike):
            _add_whole(found, scored, band)
        for position in by_sample.get((arm, sample), ()):
            if 0 <= position - scored.key.first < len(scored.given):
                found.tokens[arm, sample, position] = _token(scored, position - scored.key.first)
    return found


def _unlike(folder: Path, candidate: str) -> Collection[SampleKey]:
    """Return the samples of a candidate that do not share the reference's scores."""
    spans = read_worklist(folder / WORKLIST).get(candidate)
    return spans.listed.keys() if spans is not None and not spans.whole else ()


def _add_whole(found: _Gathered, scored: Scored, band: float) -> None:
    found.candidate.add(scored)
    key = scored.sample
    found.items.setdefault(key.battery, set()).add(key.item_id)
    for index in np.flatnonzero(scored.margins > band):
        found.beyond.setdefault(key.battery, set()).add(key.item_id)
        place, margin = scored.key.first + int(index), float(scored.margins[index])
        found.misses.append((key, place, margin, int(scored.tokens[index]), int(scored.top_tokens[index, 0])))


def _token(scored: Scored, index: int) -> _Token:
    return _Token(
        float(scored.margins[index]),
        scored.top_tokens[index].copy(),
        scored.top_scores[index].copy(),
    )


class _Lookup:
    """What the three stacks say of single tokens."""

    def __init__(
        self,
        run: RunDir,
        contrast: LockedContrast,
        own: StackAudit,
        found: _Gathered,
        limit: Band,
        wanted: set[tuple[str, SampleKey, int]],
    ) -> None:
        self.reference, self.candidate = contrast.sides
        self.found, self.width = found, limit.width
        self.unavailable: str | None = None
        misses = {(self.candidate, key, position) for key, position, *_ in found.misses}
        both = wanted | misses
        self.own_is_float32 = own.dtype == "float32"
        self.end_tokens = own.end_tokens
        self.float32 = self._stack(run, "float32", both)
        self.draft = self._stack(run, f"draft-{self.candidate}", wanted)
        self.controlled, self.sure = own.control.tokens > 0, limit.sure

    def _stack(
        self, run: RunDir, stack: str, wanted: set[tuple[str, SampleKey, int]]
    ) -> dict[tuple[str, SampleKey, int], _Token]:
        folder = run.audit(self.reference, stack)
        refused = folder / UNAVAILABLE
        if refused.exists():
            said = json.loads(refused.read_text(encoding="utf-8"))["message"]
            self.unavailable = f"{stack}: {said}"
        if not read_engine(folder).started:
            return {}
        return _gather(folder, self.reference, self.candidate, np.inf, wanted).tokens

    def attribute(self, divergence: Divergence) -> Attribution:
        """Return the cause of one divergence."""
        key = SampleKey(divergence.battery, divergence.item_id, divergence.repeat)
        if divergence.same_tokens:
            return _attribution(divergence, "text")
        if divergence.ends is not None:
            return self._length(key, divergence)
        if divergence.unit == "byte":
            return _attribution(divergence, "unknown")
        token = self.found.tokens.get((self.candidate, key, divergence.position))
        if token is None:
            return _attribution(divergence, "unknown")
        own = self.found.tokens.get((self.reference, key, divergence.position))
        cause, exact = self._cause(key, divergence.position, token.margin)
        if token.margin == 0 and (own is None or own.margin > 0):
            cause = "numerical"
        choice, chance = self._draft(key, divergence, token)
        return replace(
            _attribution(divergence, cause),
            best_token=int(token.top_tokens[0]),
            margin=token.margin,
            reference_margin=own.margin if own else None,
            float32_margin=exact,
            draft_choice=choice,
            draft_chance=chance,
        )

    def _length(self, key: SampleKey, divergence: Divergence) -> Attribution:
        """Return the cause of one answer ending where the other goes on.

        It is one of length unless the stack likes both about equally: to end there, and the token given.
        """
        arm = self.candidate if divergence.ends == "reference" else self.reference
        token = self.found.tokens.get((arm, key, divergence.position))
        if token is None:
            return _attribution(divergence, "length")
        best = float(token.top_scores[0])
        ends = np.isin(token.top_tokens, self.end_tokens)
        to_end = best - float(token.top_scores[ends].max()) if ends.any() else np.inf
        largest = max(to_end, token.margin)
        cause: Cause = "length" if largest > self.width else "numerical" if largest else "tie"
        return replace(
            _attribution(divergence, cause), best_token=int(token.top_tokens[0]), margin=token.margin
        )

    def miss(self, key: SampleKey, position: int, margin: float, token: int, best: int) -> Attribution:
        """Return the cause of a miss in a whole answer that is no first difference."""
        cause, exact = self._cause(key, position, margin)
        return Attribution(
            *key,
            position=position,
            cause=cause,
            token=token,
            best_token=best,
            margin=margin,
            float32_margin=exact,
        )

    def _cause(self, key: SampleKey, position: int, margin: float) -> tuple[Cause, float | None]:
        if margin == 0:
            return "tie", None
        if margin <= self.width:
            return "numerical", None
        if not self.controlled:
            return "unconfirmed", None
        if self.own_is_float32:
            # No finer stack checks it.
            return ("structural" if margin > self.sure else "unconfirmed"), margin
        exact = self.float32.get((self.candidate, key, position))
        if exact is None:
            return "unconfirmed", None
        # An honest token was chosen in the dtype's noise, and float32 knows how far below the best it is: by
        # no more than that noise.
        return ("structural" if exact.margin > self.width else "numerical"), exact.margin

    def _draft(
        self, key: SampleKey, divergence: Divergence, token: _Token
    ) -> tuple[bool | None, float | None]:
        """Return whether the token is the draft's choice, and how often rounding alone makes it so."""
        draft = self.draft.get((self.candidate, key, divergence.position))
        if draft is None:
            return None, None
        near = token.top_tokens[token.top_scores >= token.top_scores[0] - self.width].tolist()
        others = [t for t in near if t != divergence.reference_token]
        chance = tie_chance([len(others)], [int(draft.top_tokens[0]) in others])
        return draft.margin == 0, float(chance[0])


def _attribution(divergence: Divergence, cause: Cause) -> Attribution:
    key = SampleKey(divergence.battery, divergence.item_id, divergence.repeat)
    return Attribution(
        *key,
        position=divergence.position,
        cause=cause,
        token=divergence.candidate_token,
        proposed=divergence.proposed,
    )
