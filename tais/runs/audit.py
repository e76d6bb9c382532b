"""Audit arms of a finished run: score what is stored under a reference stack, in a run of its own.

A finished run is signed and stays as it is; the new run directory cites it by digest, holds its answers once
more, and is verified and gated like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tais.common.files import sha256_file
from tais.errors import Place, UsageError
from tais.manifest.model import TEACHER_NAMES, Contrast, Manifest, Role
from tais.plan.days import days_of
from tais.plan.lock import build_lock
from tais.plan.plan import Plan, fitted, make_plan
from tais.rundir.copying import copy_folder
from tais.rundir.layout import RunDir
from tais.rundir.lock import compare_locks, lock_digest, read_lock
from tais.rundir.lock_model import Lock
from tais.rundir.samples import part_files
from tais.runs.observer import Observer, Silent
from tais.runs.options import RunOptions, RunOutcome
from tais.runs.run import finish, new_run

__all__ = ["audit_run"]


def audit_run(
    run_dir: Path,
    manifest_path: str | Path,
    reference: str,
    candidates: Sequence[str],
    options: RunOptions,
    observer: Observer | None = None,
    *,
    verified: bool = False,
) -> RunOutcome:
    """Score every token of some arms under a reference stack.

    Parameters
    ----------
    run_dir
        A run directory with the answers.
    manifest_path
        Its manifest: a lock holds digests of models, not where they lie.
    reference
        Arm whose stack scores. Its own answers, where the run has any, are the control.
    candidates
        Arms whose answers are scored; none for all that the run screens against this reference.
    options
        As for a run.
    observer
        Who watches.
    verified
        Whether the caller verified the run; lock and headline say so, and a gate asks.

    Raises
    ------
    UsageError
        When manifest and run do not belong together, or an arm is not there.
    EngineError
        When the reference stack cannot score.
    """
    lock = read_lock(run_dir)
    plan = make_plan(manifest_path, lock.limit).on_days(days_of(lock))
    _check_same(run_dir, lock, plan)
    chosen = tuple(candidates) or _screened(lock, reference)
    _check_arms(run_dir, plan.manifest, reference, chosen)
    audited = _audited(plan, run_dir, reference, chosen, verified=verified)
    audited = fitted(audited, options.placement.executor)

    def bring(target: Path) -> None:
        old, new = RunDir(run_dir), RunDir(target)
        for arm in audited.arms:
            copy_folder(run_dir, old.arm(arm), new.arm(arm))
        for arm in audited.lock.probes.arms if audited.lock.probes is not None else ():
            if old.probe(arm).is_dir():
                copy_folder(run_dir, old.probe(arm), new.probe(arm))

    return finish(audited, options, new_run(audited, options), observer or Silent(), bring)


def _screened(lock: Lock, reference: str) -> tuple[str, ...]:
    return tuple(c.candidate for c in lock.contrasts if c.reference == reference and c.role is Role.screen)


def _answers(run_dir: Path, arm: str) -> bool:
    return bool(part_files(RunDir(run_dir).arm(arm)))


def _check_same(run_dir: Path, lock: Lock, plan: Plan) -> None:
    """Raise UsageError unless the manifest names the same stacks, questions and rules as the run."""
    changed = compare_locks(lock, plan.lock, ("arms", "batteries", "sampling", "environments"))
    if changed:
        first = changed[0]
        raise UsageError(
            f"{plan.path} is not what this run was made from: {first.key} was {first.reference!r} and is "
            f"{first.candidate!r}",
            place=Place(str(run_dir)),
            remedy="Name the manifest of the run, with models and batteries as they were",
        )


def _check_arms(run_dir: Path, manifest: Manifest, reference: str, candidates: Sequence[str]) -> None:
    known = ", ".join(manifest.arms)
    for arm in (reference, *candidates):
        if arm not in manifest.arms:
            raise UsageError(f"no arm named {arm!r}", place=Place(str(run_dir)), remedy=f"Arms: {known}")
    engine = manifest.arms[reference].engine
    if engine not in TEACHER_NAMES:
        remedy = f"Engines that can: {', '.join(TEACHER_NAMES[:-1])}"
        raise UsageError(f"engine {engine!r} of arm {reference!r} cannot score tokens", remedy=remedy)
    if not candidates:
        remedy = "Name an arm with --candidate"
        raise UsageError(
            f"nothing is screened against {reference!r}", place=Place(str(run_dir)), remedy=remedy
        )
    for arm in candidates:
        if arm == reference or not _answers(run_dir, arm):
            what = "is the reference" if arm == reference else "has no answers in this run"
            remedy = "Name another arm with --candidate"
            raise UsageError(f"arm {arm!r} {what}", place=Place(str(run_dir)), remedy=remedy)


def _audited(plan: Plan, run_dir: Path, reference: str, candidates: Sequence[str], *, verified: bool) -> Plan:
    """Return the plan of the audit: the same stacks, other contrasts."""
    matched = _answers(run_dir, reference)
    claims = {(c.reference, c.candidate): c for c in plan.manifest.contrasts}
    contrasts = tuple(
        claims.get((reference, arm), Contrast(reference=reference, candidate=arm)).model_copy(
            update={"audit": True if matched else "only"}
        )
        for arm in candidates
    )
    manifest = plan.manifest.model_copy(
        update={"contrasts": contrasts, "name": f"{plan.manifest.name}-audit"[:100]}
    )
    run = RunDir(run_dir)
    cited: dict[str, str | bool] = {"run": run.id, "lock": lock_digest(run_dir), "verified": verified}
    if run.report.exists():
        cited["report"] = sha256_file(run.report)
    source = {**manifest.source, "audit_of": cited}
    manifest = manifest.model_copy(update={"source": source})
    lock = build_lock(manifest, plan.lock.manifest.sha256, plan.batteries, plan.lock.limit)
    return replace(plan, manifest=manifest, lock=lock)
