"""The upgrade question: an arm of one finished run against an arm of another, made on different days.

The comparison is a run directory of its own, with copies of the samples, so that report, verify and
gate treat it as any other; it cites both runs by digest. A baseline that is stored once serves every later
candidate and is not run again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tais.analysis.upgrade import upgrade_of
from tais.common.differences import leaf_differences
from tais.common.files import canonical_json, json_digest, write_atomic
from tais.common.machine import package_versions
from tais.errors import Place, UsageError
from tais.manifest.model import Hypothesis, Role
from tais.report.redact import holds_redacted
from tais.rundir.layout import UPGRADE, check_finished
from tais.rundir.lock import read_lock, run_arms
from tais.rundir.origin import origin_of, same_source
from tais.rundir.samples import stored_keys
from tais.runs.derive import Part, cite, derive
from tais.scoring.replies import copy_replies
from tais.verdict.report import Report

if TYPE_CHECKING:
    from tais.attest import Signer

__all__ = ["Comparison", "Side", "compare_runs"]


_SUPPORT = (Role.calibration.value, Role.positive_control.value)


@dataclass(frozen=True, slots=True)
class Side:
    """An arm of a finished run."""

    run_dir: Path
    arm: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to."""

    run_dir: Path
    report: Report
    upgrade: Mapping[str, Any]


def compare_runs(
    reference: Side,
    candidate: Side,
    out: Path,
    *,
    hypothesis: Hypothesis = Hypothesis.non_inferiority,
    signer: Signer | None = None,
    verified: bool = False,
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
        Whether the caller verified both runs; the report says so.

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


def _check_side(side: Side, lock: Mapping[str, Any]) -> None:
    if lock.get("drill"):
        where, remedy = Place(str(side.run_dir)), "Compare runs of stacks as they are served"
        raise UsageError("this run is a drill: faults were planted in it", place=where, remedy=remedy)
    used = run_arms(lock)
    if side.arm not in used:
        where, remedy = Place(str(side.run_dir)), f"Arms: {', '.join(used)}"
        raise UsageError(f"no arm named {side.arm!r} in this run", place=where, remedy=remedy)
    check_finished(side.run_dir)
    if side.arm in lock.get("sequential", {}).get("arms", ()):
        _check_whole(side, lock)


def _check_whole(side: Side, lock: Mapping[str, Any]) -> None:
    """Raise UsageError for an arm that was stopped early: how much it answered depends on its answers."""
    asked = sum(battery["items"] for battery in lock["batteries"]) * lock["sampling"]["n"]
    stored = len(stored_keys(side.run_dir / "arms" / side.arm))
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
        own = {"run": side.run_dir.resolve().name, "arm": side.arm}
        sides.append((origin_of(side.run_dir / "arms" / side.arm), own))
    (old, own_old), (new, own_new) = sides
    if (old is not None or new is not None) and same_source(old or own_old, new or own_new):
        raise UsageError(
            "both arms are copies of the same answers, which agree whatever the stacks do",
            place=Place(str(candidate.run_dir)),
            remedy="Run the candidate again without --cache",
        )


def _check_alike(reference: Side, candidate: Side, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise UsageError unless both runs asked the same items, scored alike, with the same sampling."""
    for key in ("batteries", "sampling", "judges"):
        what = f"the {key} differ{'s' if key == 'sampling' else ''}"
        for name, before, now in leaf_differences(*(_keyed(lock.get(key, {})) for lock in (old, new))):
            raise UsageError(
                f"{what}: {name} is {before!r} there and {now!r} here",
                place=Place(str(candidate.run_dir)),
                remedy=f"Run both with the same {key}; {reference.run_dir} is the reference",
            )


def _keyed(value: Any) -> Any:
    """Return batteries by name, with what decides what was asked and how it was scored."""
    if not isinstance(value, list):
        return json.loads(canonical_json(value))
    return {
        b["name"]: {
            **{key: b[key] for key in ("digest", "items", "scorer")},
            "second_scorers": {str(i): spec for i, spec in enumerate(b.get("second_scorers", ()))},
        }
        for b in value
    }


class _Comparing:
    def __init__(
        self,
        reference: Side,
        candidate: Side,
        locks: tuple[dict[str, Any], dict[str, Any]],
        hypothesis: Hypothesis,
        verified: bool,
    ) -> None:
        self.old, self.new = reference, candidate
        self.locks, self.hypothesis, self.verified = locks, hypothesis, verified
        support = [
            c for c in locks[0]["contrasts"] if c["reference"] == reference.arm and c["role"] in _SUPPORT
        ]
        self.kept = [reference.arm, *dict.fromkeys(c["candidate"] for c in support)]
        self.contrasts = support
        # The new arm may bear the name of an old one.
        self.name = candidate.arm
        while self.name in self.kept:
            self.name += "-new"

    def write(self, out: Path, signer: Signer | None) -> Comparison:
        upgrade: dict[str, Any] = {}

        def add(run_dir: Path) -> None:
            for name in self.lock().get("judges", ()):
                copy_replies(name, self.old.run_dir, self.new.run_dir, run_dir)

        def finish(run_dir: Path, report: Report) -> None:
            upgrade.update(upgrade_of(run_dir, report))
            write_atomic(run_dir / UPGRADE, json.dumps(upgrade, indent=2).encode() + b"\n")

        run_dir, report = derive(
            out,
            self.lock(),
            self.new.run_dir,
            self._parts(),
            add=add,
            finish=finish,
            signer=signer,
            redact=any(holds_redacted(side.run_dir) for side in (self.old, self.new)),
        )
        return Comparison(run_dir, report, upgrade)

    def lock(self) -> dict[str, Any]:
        """Return the lock of the comparison: both stacks as their own locks fix them."""
        old, new = self.locks
        arms = {name: old["arms"][name] for name in self.kept} | {self.name: new["arms"][self.new.arm]}
        differing = leaf_differences(arms[self.old.arm], arms[self.name], absent=None)
        screen = {
            "reference": self.old.arm,
            "candidate": self.name,
            "role": Role.screen.value,
            "lossless": False,
            "differences": [difference.key for difference in differing],
        }
        source = {"compare": {"reference": self._cite(self.old), "candidate": self._cite(self.new)}}
        own = {key: value for key, value in new.items() if key not in ("record", "sequential")}
        return {
            **own,
            "name": f"{new['name']}-upgrade"[:100],
            "manifest": {"sha256": json_digest(source), "source": source},
            "arms": arms,
            "contrasts": [screen, *self.contrasts],
            "rules": {**new["rules"], "hypothesis": self.hypothesis.value, "sequential": None},
            "versions": package_versions(),
        }

    def _cite(self, side: Side) -> dict[str, Any]:
        return {**cite(side.run_dir), "arm": side.arm, "verified": self.verified}

    def _parts(self) -> Iterator[Part]:
        yield from (Part(self.old.run_dir, name, name) for name in self.kept)
        yield Part(self.new.run_dir, self.new.arm, self.name)
