"""A run directory folded into the evidence that the decision reads.

Memory holds the tables of two arms at a time, some dozens of bytes per sample of theirs, and the paired
outcomes of every contrast, nine bytes per pair: answers are compared by digest, and only those that differ
are read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tais.analysis.arm_table import ArmTable, load_arm
from tais.analysis.asked import asked_findings, imported_findings, without
from tais.analysis.attribution import fold_audit
from tais.analysis.comparison import comparison_findings
from tais.analysis.drift import fold_drift
from tais.analysis.exchange import exchange_evidence
from tais.analysis.looks import look_evidence
from tais.analysis.paired_arms import Differing, Pair, read_divergences
from tais.analysis.parts import part_findings
from tais.analysis.planned_answers import PlannedBattery
from tais.analysis.provenance import OneEvidence, one_evidence, provenance_findings, recorded_again
from tais.analysis.speculation import speculation_findings, speculation_modes
from tais.analysis.telemetry import Telemetry
from tais.analysis.token_law import fold_conformance
from tais.common.differences import ABSENT
from tais.manifest.lossless import known_lossy, same_weights, why_not_lossless
from tais.rundir.asked import asked_otherwise
from tais.rundir.compared import compared_runs
from tais.rundir.engine_record import EngineRecord, compare_resolved, read_engine
from tais.rundir.items import BatteryItems, Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock, LockedArm, LockedBattery, LockedContrast, plain
from tais.rundir.looks import LookPlan, look_numbers
from tais.scorers import ScorerBase
from tais.scoring.exchange import screened_references
from tais.scoring.replies import Replies
from tais.verdict.evidence import (
    ContrastEvidence,
    Divergence,
    EndpointEvidence,
    Finding,
    IdentityCounts,
    ScreenEvidence,
    StartsEvidence,
)
from tais.verdict.facts import Facts

__all__ = ["fold_run"]

# More than anyone reads; the counts are of all.
_DIVERGENCES_KEPT = 1000
# Of a contrast that is audited: each has its cause.
_DIVERGENCES_AUDITED = 100_000
_NAMED = 5


@dataclass(slots=True)
class _Contrast:
    """What one contrast has gathered so far."""

    identity: list[IdentityCounts] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    endpoints: list[EndpointEvidence] = field(default_factory=list)
    drifted: Counter[str] = field(default_factory=Counter)
    drifted_items: list[str] = field(default_factory=list)
    ends_alone: int = 0
    findings: tuple[Finding, ...] = ()
    one: OneEvidence = field(default_factory=OneEvidence)

    def add(
        self,
        battery: LockedBattery,
        scorer: ScorerBase,
        pair: Pair,
        most: int,
        looks: Callable[[EndpointEvidence, Pair], EndpointEvidence] | None = None,
    ) -> None:
        """Add one battery; of the answers that differ, keep `most` in all."""
        self.identity.append(pair.identity(battery.name))
        self.ends_alone += int(pair.ends_alone.sum())
        room = max(0, most - len(self.differing))
        self.differing.extend(pair.differing(battery.name, room))
        for stratum, part in pair.strata():
            endpoint = part.endpoint(battery, scorer, stratum)
            self.endpoints.append(endpoint if looks is None else looks(endpoint, part))
        drifted = pair.drifted()
        if drifted:
            self.drifted[battery.name] += len(drifted)
            self.drifted_items.extend(item for item, _ in drifted[: max(0, _NAMED - len(self.drifted_items))])


def fold_run(
    run: RunDir,
    lock: Lock,
    items: Items,
    scores: Path,
    scorers: Mapping[str, ScorerBase],
    replies: Replies,
    facts: Facts,
) -> ScreenEvidence:
    """Return the evidence of a run.

    Parameters
    ----------
    run
        The run directory.
    lock
        Its lock.
    items
        What was asked.
    scores
        scores.parquet of its samples.
    scorers
        Scorer of each battery.
    replies
        What judges said.
    facts
        Provenance for the report.

    Raises
    ------
    StoreError
        When samples and scores do not belong together.
    """
    repeats = lock.sampling.n
    imported = any(arm.engine == "import" for arm in lock.arms.values())
    tables = _Tables(run, scores, items, repeats, bare=imported)
    plan = LookPlan.of(lock)
    looks = _looks(plan, items, repeats)
    # One array each for all contrasts.
    own = {name: items.of(name, split=scorer.exchange == "polarity") for name, scorer in scorers.items()}
    planned = [PlannedBattery(b.name, own[b.name], repeats, b.margin) for b in lock.batteries]
    contrasts = []
    for contrast in lock.contrasts:
        found = _Contrast()
        reference, candidate = (tables.of(arm) for arm in contrast.sides)
        if not any(lock.arms[arm].engine == "import" for arm in contrast.sides):
            reference = replace(reference, bare=None)
        otherwise = asked_otherwise(run, lock, contrast.sides)
        reference, candidate = (without(table, otherwise, items, repeats) for table in (reference, candidate))
        found.findings = (*asked_findings(otherwise), *imported_findings(run, lock, contrast))
        looked_at = looks if plan is not None and plan.covers(contrast) else None
        for battery in lock.batteries:
            name = battery.name
            pair = Pair.of_battery(reference, candidate, own[name], repeats)
            found.add(battery, scorers[name], pair, _most(contrast), looked_at)
        found.divergences = read_divergences(run, items, repeats, contrast, found.differing)
        found.differing.clear()
        found.one = one_evidence(run, lock, contrast, found.identity)
        for other in () if found.one.batteries else recorded_again(lock, contrast):
            pairs = [
                Pair.of_battery(tables.of(other), candidate, own[b.name], repeats).identity(b.name)
                for b in lock.batteries
            ]
            named = contrast.model_copy(update={"reference": other})
            again = one_evidence(run, lock, named, pairs)
            if again.batteries:
                found.one = replace(again, why=f"{contrast.candidate} is {other}: {again.why}")
        contrasts.append(_evidence(run, lock, contrast, found, candidate.telemetry, planned))
    exchanges = tuple(
        exchange
        for arm in screened_references(lock)
        for exchange in exchange_evidence(run, lock, items, arm, tables.of(arm), scorers, replies)
    )
    findings = tuple(_drill_findings(lock))
    starts = tuple(_starts(lock, tables, list(own.values()), repeats))
    return ScreenEvidence(lock.name, lock.rules, tuple(contrasts), findings, facts, exchanges, starts)


def _starts(
    lock: Lock, tables: _Tables, batteries: Sequence[BatteryItems], repeats: int
) -> Iterator[StartsEvidence]:
    """Yield how far the starts of an arm answered alike; of those that answered at all."""
    there = set(lock.run_arms())
    for names in lock.starts.values():
        arms = tuple(name for name in names if name in there)
        if arms != names:
            continue
        first, found = tables.of(names[0]), []
        for name in names[1:]:
            table = tables.of(name)
            pairs = [Pair.of_battery(first, table, items, repeats) for items in batteries]
            found.append((sum(len(p.keys) for p in pairs), sum(int(p.same.sum()) for p in pairs)))
        yield StartsEvidence(arms, tuple(found))


class _Tables:
    """The tables of the last two arms that were asked for: contrasts mostly share their reference."""

    def __init__(self, run: RunDir, scores: Path, items: Items, repeats: int, *, bare: bool = False) -> None:
        self.run, self.scores, self.items, self.repeats = run, scores, items, repeats
        self.bare = bare
        self._kept: dict[str, ArmTable] = {}

    def of(self, arm: str) -> ArmTable:
        """Return the table of an arm, read again where it was let go."""
        table = self._kept.pop(arm, None)
        if table is None:
            # The older one goes before the new one is read.
            while len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]
            table = load_arm(arm, self.run.arm(arm), self.items, self.repeats, self.scores, bare=self.bare)
        self._kept[arm] = table
        return table


def _drill_findings(lock: Lock) -> Iterator[Finding]:
    """Yield what nobody may overlook in the report of a drill: no such run ever passes."""
    if not lock.drill:
        return
    faults = {name: arm.fault_name for name, arm in sorted(lock.arms.items()) if arm.fault}
    listed = ", ".join(f"{fault} in {arm}" for arm, fault in faults.items()) or "none"
    message = f"THIS IS A DRILL: faults were planted on purpose ({listed}); it says nothing of any stack"
    yield Finding("drill", message, {"faults": faults}, blocks_pass=True)


def _looks(
    plan: LookPlan | None, items: Items, repeats: int
) -> Callable[[EndpointEvidence, Pair], EndpointEvidence] | None:
    if plan is None:
        return None
    numbers = look_numbers(plan, items)
    return lambda endpoint, pair: look_evidence(plan, endpoint, pair, numbers, repeats)


def _evidence(
    run: RunDir,
    lock: Lock,
    contrast: LockedContrast,
    found: _Contrast,
    telemetry: Telemetry,
    planned: Sequence[PlannedBattery],
) -> ContrastEvidence:
    reference, candidate = contrast.sides
    engines = read_engine(run.arm(reference)), read_engine(run.arm(candidate))
    arm = lock.arms[candidate]
    modes = speculation_modes(arm.speculative_config, engines[1])
    only = contrast.audit == "only"
    differing = sum(x.n - x.identical for x in found.identity)
    left_out = max(0, differing - len(found.divergences))
    greedy = lock.sampling.temperature == 0
    audit = fold_audit(run, contrast, found.divergences, left_out, planned) if greedy else None
    if audit is not None:
        audit = replace(audit, drift=fold_drift(run, lock, contrast, audit.band))
    audited = contrast.audit in ("full", "only")
    asked = sum(len(battery.items.ids) * battery.repeats for battery in planned)
    law = None
    if audited and not greedy:
        law = fold_conformance(run, contrast, lock.sampling, asked, lock.rules.max_leak)
    return ContrastEvidence(
        reference=reference,
        candidate=candidate,
        role=contrast.role,
        lossless=contrast.lossless,
        # Nothing is compared with an arm that answered nothing.
        identity=() if only else tuple(found.identity),
        divergences=tuple(found.divergences[:_DIVERGENCES_KEPT]),
        treatment=telemetry.evidence(*modes, run.arm(candidate)),
        endpoints=() if only else tuple(found.endpoints),
        findings=(
            *_prompt_findings(found, contrast, lock),
            *found.findings,
            *_ends_alone(found.ends_alone),
            *_template_findings(engines, contrast),
            *speculation_findings(arm.speculative_config, engines[1]),
            *part_findings(run, contrast, found.divergences),
            *_configuration_findings(engines, lock, contrast),
            *provenance_findings(run, lock, contrast, found.one),
            *_fault_findings(arm),
            *comparison_findings(lock, contrast),
        ),
        evidence="teacher_forced" if only else "matched",
        audit=audit,
        conformance=law,
        greedy=greedy,
        lossy_by_design=_lossy_by_design(lock, contrast),
        tokens_per_answer=telemetry.tokens / telemetry.answers if telemetry.answers else None,
        candidate_properties=_properties(arm),
        one_evidence=found.one.batteries,
    )


def _lossy_by_design(lock: Lock, contrast: LockedContrast) -> bool:
    """Return whether the same target speculates by a rule that is meant to be lossy.

    It is where the rule is known, and where somebody wrote ``lossless: false``. Where the claim falls by
    default (other parallelism, another device or version), nobody said so.
    """
    reference, candidate = (lock.arms[name] for name in contrast.sides)
    if contrast.lossless or candidate.speculative_config is None or not same_weights(reference, candidate):
        return False
    by_default = compared_runs(lock) is not None or bool(why_not_lossless(reference, candidate))
    return known_lossy(candidate) is not None or not by_default


def _most(contrast: LockedContrast) -> int:
    return _DIVERGENCES_KEPT if contrast.audit == "none" else _DIVERGENCES_AUDITED


def _properties(arm: LockedArm) -> dict[str, float]:
    """Return the numeric settings of an arm: what a dose-response may be looked for on."""
    settings = {**arm.engine_args, **(arm.speculative_config or {})}
    return {
        key: float(value)
        for key, value in settings.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _prompt_findings(found: _Contrast, contrast: LockedContrast, lock: Lock) -> Iterator[Finding]:
    if not found.drifted:
        return
    total = sum(found.drifted.values())
    named = ", ".join(found.drifted_items)
    said = f"{total} prompts differ in their tokens between the arms (first: {named})"
    # Where the arms are meant to have another model or template, their prompts may differ.
    keys = [key.split(".")[0] for key in contrast.differences]
    own = ("model", "tokenizer", "chat_template", "chat_template_kwargs", "system_prompt")
    meant = any(key in own for key in keys)
    yield Finding(
        code="prompt_drift",
        message=said + _by_date(contrast, lock),
        values={"items": total, "batteries": dict(found.drifted), "first": found.drifted_items},
        blocks_pass=not meant,
    )


def _ends_alone(count: int) -> Iterator[Finding]:
    if count:
        message = (
            f"{count} answers differ by their last token id alone, which no text shows: an end token that "
            "one of the logs leaves out. They count as the same"
        )
        yield Finding("imported_answers", message, {"ends_alone": count})


def _template_findings(
    engines: tuple[EngineRecord, EngineRecord], contrast: LockedContrast
) -> Iterator[Finding]:
    bare = [name for name, engine in zip(contrast.sides, engines, strict=True) if engine.has_no_template]
    if bare:
        message = f"no chat template ({', '.join(bare)}): prompts went to the model as bare text"
        yield Finding("no_chat_template", message, {"arms": bare})


def _by_date(contrast: LockedContrast, lock: Lock) -> str:
    """Return the cause where templates wrote two dates, and how to avoid it; "" where they did not."""
    there, here = (lock.arms[name].chat_template_date for name in contrast.sides)
    if there == here:
        return ""
    if there is None:
        return ": the chat template reads the clock, and the reference was run without a chat_template_date"
    return (
        f": the chat template reads the clock, and chat_template_date is {there} there and "
        f"{here or 'not said'} here. Run the candidate with chat_template_date: {there}"
    )


def _fault_findings(arm: LockedArm) -> Iterator[Finding]:
    if arm.fault:
        message = f"THIS IS A DRILL: the fault {arm.fault_name} was planted in this arm on purpose"
        yield Finding("drill_fault", message, {"fault": plain(arm)["fault"]})


def _configuration_findings(
    engines: tuple[EngineRecord, EngineRecord], lock: Lock, contrast: LockedContrast
) -> Iterator[Finding]:
    # Of answers that exist already, this machine only read the files.
    if not all(engine.started for engine in engines) or _all_imported(lock, contrast):
        return
    there, here = (engine.engine_versions for engine in engines)
    other = sorted(name for name in there if name in here and there[name] != here[name])
    if other:
        yield _version_finding(there, here, other)
    for part, what in (("resolved", "engine configuration"), ("environment", "environment")):
        sides = (engine.resolved if part == "resolved" else engine.environment for engine in engines)
        reference, candidate = ({k: v for k, v in side.items() if k != "hardware"} for side in sides)
        differing = compare_resolved(reference, candidate, contrast.differences)
        # Of two releases, what one of them alone knows follows from the version.
        known = [d for d in differing if ABSENT not in (d.reference, d.candidate)]
        shown = known if other else differing
        if shown:
            first, folded = shown[0], len(differing) - len(shown)
            yield Finding(
                code="resolved_differs" if part == "resolved" else "environment_differs",
                message=f"the {what} differs in more than the manifest says: {len(shown)} fields, "
                f"first {first.key} ({first.reference!r} against {first.candidate!r})"
                + (f"; {folded} more are known to one of the two releases alone" if folded else ""),
                values={"fields": [difference._asdict() for difference in shown[:50]], "folded": folded},
            )
    yield from _hardware_findings(engines, contrast)


def _version_finding(reference: Mapping[str, str], candidate: Mapping[str, str], names: list[str]) -> Finding:
    sides = (", ".join(f"{name} {side[name]}" for name in names) for side in (reference, candidate))
    return Finding(
        "engine_versions_differ",
        f"the arms ran on other releases: {' against '.join(sides)}",
        {"reference": dict(reference), "candidate": dict(candidate), "differing": names},
    )


def _all_imported(lock: Lock, contrast: LockedContrast) -> bool:
    return all(lock.arms[arm].engine == "import" for arm in contrast.sides)


def _hardware_findings(
    engines: tuple[EngineRecord, EngineRecord], contrast: LockedContrast
) -> Iterator[Finding]:
    """Yield that the arms did not run on like machines; an arm in shards may have run on several."""
    sides = [engine.machines for engine in engines]
    if set(sides[0]) == set(sides[1]) and len(set(sides[0])) == 1:
        return
    said = [" and ".join(dict.fromkeys(side)) for side in sides]
    yield Finding(
        code="hardware_differs",
        message="the arms did not run on like hardware, and rounding may differ with it: "
        + "; ".join(f"{name} on {side}" for name, side in zip(contrast.sides, said, strict=True)),
        values=dict(zip(("reference", "candidate"), (sorted(set(side)) for side in sides), strict=True)),
    )
