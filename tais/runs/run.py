"""A screen from manifest to report: plan, run the arms, score, decide.

Every step leaves whole files behind, so that a run killed at any point continues where it stopped.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tais.analysis.analyse import analyse
from tais.attest import sign_lock, sign_run
from tais.common.differences import Difference
from tais.common.files import canonical_json, remove_leftovers, store_error, write_atomic
from tais.errors import EngineError, Interrupted, Place, StoreError, TaisError, UsageError
from tais.executors import check_executor, create_executor, targets_first
from tais.executors.base import Executor
from tais.executors.variables import held_back, named_by
from tais.manifest.model import Arm, Manifest
from tais.plan.days import days_of
from tais.plan.items import write_items
from tais.plan.plan import Plan, fitted, make_plan, require_engines
from tais.report.redact import redacted
from tais.report.render import write_views
from tais.report.renderer import with_renderer
from tais.rundir.audits import UNAVAILABLE
from tais.rundir.guard import RunGuard
from tais.rundir.layout import LEDGER, LOCK, RunDir
from tais.rundir.ledger import append, attempts, ledger_entries
from tais.rundir.lock import asked_digest, compare_locks, lock_digest, read_lock, write_lock
from tais.runs.bound_ledger import check_bound
from tais.runs.configurations import check_configurations
from tais.runs.cut_ledger import tell_cut
from tais.runs.early_stop import looked_at
from tais.runs.finished import vouched
from tais.runs.observer import Observer, Silent
from tais.runs.options import RunOptions, RunOutcome
from tais.runs.probes import late_probes, prepare_probes, with_probes
from tais.scoring.questions import judge_jobs, planned_judges
from tais.verdict.facts import Attempt, LedgerFacts, RunFacts
from tais.verdict.report import Report
from tais.worker.protocol import AnswerJob, ArmEvent, Job

if TYPE_CHECKING:
    from tais.cache.reuse import Reuse

__all__ = ["finish", "new_run", "run"]

# Measured on the demo: a stored token takes about 12 bytes with its log-probabilities, zstd-compressed;
# this is twice as much, and a sample's text and keys are added.
_BYTES_PER_TOKEN = 24
_BYTES_PER_SAMPLE = 600
_BYTES_SPARE = 64 << 20


def run(manifest: str | Path | Manifest, options: RunOptions, observer: Observer | None = None) -> RunOutcome:
    """Run a screen to its verdict.

    Parameters
    ----------
    manifest
        A file, the name of a manifest that ships with TAIS, or one that is loaded.
    options
        Where to, how much, and whether to continue.
    observer
        Who watches.

    Raises
    ------
    TaisError
        Whatever stops the run; what was stored stays, and `resume` continues from it.
    """
    watcher: Observer = observer or Silent()
    check_executor(options.placement)
    if options.cache is not None and options.placement.executor != "local":
        # An entry is addressed by the machine that ran it, and here only the cluster knows which will.
        raise UsageError(
            "a cache works with arms on this machine only",
            remedy="Leave out --cache, or --executor ray",
        )
    plan = make_plan(manifest, options.limit)
    _refuse_remote_faults(plan, options)
    require_engines(plan)
    # Before a folder is made: a key is sent where its owner says, whatever the manifest names.
    named_by((*plan.manifest.arms.values(), *plan.manifest.judges.values()), os.environ)
    if options.resume:
        run_dir = _last_run(plan, options)
        stored = read_lock(run_dir)
        plan = plan.on_days(days_of(stored)).with_memory(stored.memory)
        _check_unchanged(plan, run_dir)
    else:
        plan = fitted(_on_stored_day(plan, options), options.placement.executor)
        run_dir = new_run(plan, options)
    for note in plan.notes:
        watcher.note(note)
    return finish(plan, options, run_dir, watcher)


def _on_stored_day(plan: Plan, options: RunOptions) -> Plan:
    """Return the plan on the day of answers that a cache holds: templates then write the same date again."""
    if options.cache is None or not plan.undated:
        return plan
    from tais.cache.address import day_key
    from tais.cache.store import CacheStore

    store, arms = CacheStore(options.cache), {**plan.lock.arms, **plan.lock.judges}
    references = [contrast.reference for contrast in plan.lock.contrasts]
    # One day for all arms, so that they stay matched: that of the first reference which is there.
    for name in dict.fromkeys((*references, *plan.arms)):
        day = store.find_day(day_key(arms[name])) if name in plan.undated else None
        if day is not None:
            return plan.on_days(dict.fromkeys(plan.undated, day))
    return plan


def _refuse_remote_faults(plan: Plan, options: RunOptions) -> None:
    """Raise UsageError where a fault would have to be planted in another machine's worker: nobody does it."""
    faulty = [name for name in plan.arms if plan.manifest.arms[name].fault is not None]
    if faulty and options.placement.executor != "local":
        raise UsageError(
            f"the fault of arm {faulty[0]!r} is planted on this machine only, not by --executor "
            f"{options.placement.executor}",
            place=Place(key=f"arms.{faulty[0]}.fault"),
            remedy="Run the drill without --executor, or take the fault out",
        )


def finish(
    plan: Plan,
    options: RunOptions,
    run_dir: Path,
    observer: Observer,
    bring: Callable[[Path], None] | None = None,
) -> RunOutcome:
    """Run what a run directory lacks, decide and sign.

    Parameters
    ----------
    plan
        What the directory's lock fixes.
    options
        How.
    run_dir
        A directory with its lock and items.
    observer
        Who watches.
    bring
        Brings answers that exist already into the directory, once its lock is signed.
    """
    # From here on the items stand in the run directory.
    plan = replace(plan, batteries=(), brought=bring is not None)
    with RunGuard(run_dir):
        remove_leftovers(run_dir)
        if options.signer is not None:
            # Before the first token: nobody can choose the rules after seeing the answers.
            sign_lock(run_dir, options.signer)
        if bring is not None:
            bring(run_dir)
        return _Attempt(plan, options, run_dir, observer).execute()


def new_run(plan: Plan, options: RunOptions) -> Path:
    """Make the run directory of a plan, with items and lock."""
    parent = options.out / plan.manifest.name
    run = RunDir(parent / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    try:
        run.make()
        free = shutil.disk_usage(run.root).free
    except OSError as error:
        raise store_error(error, run.root) from error
    needed = _expected_bytes(plan)
    if free < needed:
        shutil.rmtree(run.root)
        raise StoreError(
            f"this run may need {needed >> 20} MB and {free >> 20} MB are free",
            place=Place(file=str(parent)),
            remedy="Free some space, or choose another directory with --out",
        )
    write_items(run.items, plan.batteries)
    # Last: a directory with a lock has all that a resumed run needs.
    write_lock(run.root, plan.lock)
    return run.root


def _expected_bytes(plan: Plan) -> int:
    per_sample = plan.manifest.sampling.max_tokens * _BYTES_PER_TOKEN + _BYTES_PER_SAMPLE
    return _BYTES_SPARE + plan.samples_per_arm * len(plan.arms) * per_sample


def _last_run(plan: Plan, options: RunOptions) -> Path:
    parent = options.out / plan.manifest.name
    runs = sorted(path.parent for path in parent.glob(f"*/{LOCK}"))
    if not runs:
        raise UsageError(
            "there is no run to resume", place=Place(file=str(parent)), remedy="Start one without --resume"
        )
    # By the ledger, not by name: a clock may have gone back. One without a line was stopped before its first.
    begun = {str(entry.get("run")): at for at, entry in enumerate(ledger_entries(parent / LEDGER))}
    return max(runs, key=lambda path: (begun.get(path.name, len(begun) + 1_000_000), path.name))


def _check_unchanged(plan: Plan, run_dir: Path) -> None:
    changed = compare_locks(read_lock(run_dir), plan.lock)
    if changed:
        raise UsageError(
            f"cannot resume {run_dir.name}: {_say(changed)}",
            place=Place(file=str(RunDir(run_dir).lock)),
            remedy="Undo the change, or start a new run without --resume",
        )


def _say(changed: list[Difference]) -> str:
    """Name what changed; the manifest's text only where nothing that it says did."""
    real = [d for d in changed if not d.key.startswith("manifest.")] or changed[:1]
    said = [f"{d.key} was {_short(d.reference)} and is {_short(d.candidate)}" for d in real[:3]]
    more = f" and {len(real) - 3} more" if len(real) > 3 else ""
    return "; ".join(said) + more


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Clock:
    """Passes events on and notes how long each phase of each arm took."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.phases: dict[str, dict[str, float]] = {}
        self._running: dict[str, tuple[str, float]] = {}

    def event(self, event: ArmEvent) -> None:
        now = time.monotonic()
        if event.event == "preloaded":
            self.phases[""] = {"import": round(event.seconds, 3)}
        elif event.event in ("phase", "exit"):
            # Several arms may run at once.
            phase, since = self._running.pop(event.arm, ("", now))
            if phase:
                self.phases.setdefault(event.arm, {})[phase] = round(now - since, 3)
            if event.event == "phase":
                self._running[event.arm] = (event.phase, now)
        self.observer.event(event)


class _Attempt:
    """One attempt at a run: the first, or a resumed one."""

    def __init__(self, plan: Plan, options: RunOptions, run_dir: Path, observer: Observer) -> None:
        self.plan, self.options, self.run_dir, self.observer = plan, options, run_dir, observer
        self.run = RunDir(run_dir)
        self.started, self.asked = datetime.now(UTC), asked_digest(plan.lock)
        self.clock = _Clock(observer)

    def execute(self) -> RunOutcome:
        stored = self.run.report
        if stored.exists():
            self.observer.note(f"{self.run_dir.name} is finished: nothing to run")
            report = vouched(self.run_dir, self.options.signer)
            self._sign()
            return RunOutcome(report, self.run_dir)
        # Before any arm: a ledger that was edited costs no hours, and a line that was cut short goes.
        tell_cut(self.run, self.observer.note)
        check_bound(self.run.ledger)
        self._enter("resume" if self.options.resume else "start", check=True)
        try:
            self._run_arms()
            report = self._decide()
        except KeyboardInterrupt:
            self._enter("end", outcome="interrupted")
            raise Interrupted(
                "stopped; what is finished is stored",
                place=Place(file=str(self.run_dir)),
                remedy="Continue with --resume",
            ) from None
        except TaisError as error:
            self._enter("end", outcome=f"failed: {type(error).__name__}")
            raise
        self._sign()
        self._enter("end", outcome=report.verdict.value)
        return RunOutcome(report, self.run_dir)

    def _enter(self, event: str, *, check: bool = False, **values: str) -> None:
        entry = {
            "event": event,
            "run": self.run_dir.name,
            "manifest": self.plan.lock.manifest.sha256,
            "lock": lock_digest(self.run_dir),
            "asked": self.asked,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            **values,
        }
        self._line = append(self.run.ledger, entry, check=check)

    def _run_arms(self) -> None:
        references = {contrast.reference for contrast in self.plan.lock.contrasts}
        jobs = targets_first(map(self._job, self.plan.arms), references)
        blocks = looked_at(self.run_dir, self.plan.lock, jobs, self.observer.note)
        # What a look compares with is whole by then.
        jobs.sort(key=lambda job: job.arm.name in blocks)
        judges = planned_judges(self.plan.manifest, self.plan.lock, self.run_dir, jobs[0])
        planned, stall = [*jobs, *judges], self.options.stall_seconds
        reuse, probes = self._reuse(planned), self._reuse(planned, probes=True)
        ready = reuse.take(self.plan.arms) if reuse is not None else set()
        if probes is not None:
            probes.take(self._probed())
        prepare_probes(self.run, self.plan.lock)
        missing = [name for name in self.plan.arms if name not in ready]
        self._predict()
        self._tell_held_back(planned)
        self.observer.started(self.run_dir, missing, self.plan.samples_per_arm)
        where = self.options.placement
        with create_executor(where, self.run_dir, stall_seconds=stall, planned=planned) as executor:
            asked = [job for job in jobs if job.arm.name not in ready]
            asked = [job for job in asked if not (self.plan.brought and job.arm.name in blocks)]
            if not self.plan.brought:
                asked = with_probes(self.run, self.plan.lock, asked)
            if where.executor == "local" and not self.plan.brought:
                check_configurations(executor, [*asked, *judges], self.plan.path, self.clock.event)
            executor.run(asked, self.clock.event, blocks)
            self._ask_late(executor, jobs, asked)
            for kept in (reuse, probes):
                if kept is not None:
                    kept.keep(missing if kept is reuse else self._probed())
            executor.run(judge_jobs(self.run_dir, self.plan.lock, self.plan.arms, judges), self.clock.event)
            self._audit(executor)

    def _tell_held_back(self, planned: Sequence[Job]) -> None:
        """Say once what of the environment no engine gets: one that is missed is then easy to find."""
        named = {*self.options.placement.pass_env, *named_by((job.arm for job in planned), os.environ)}
        if held := held_back(os.environ, named):
            self.observer.note(f"engines do not get {', '.join(held)} (--pass-env NAME hands one on)")

    def _probed(self) -> tuple[str, ...]:
        return () if self.plan.lock.probes is None else self.plan.lock.probes.arms

    def _ask_late(self, executor: Executor, jobs: list[AnswerJob], asked: list[AnswerJob]) -> None:
        """Ask the probes of arms whose engine was not asked them in passing."""
        if self.plan.brought:
            return
        here = self.options.placement.executor == "local"
        tried = {job.arm.name for job in asked if here and job.arm.engine == "import"}
        executor.run(list(late_probes(self.run, self.plan.lock, jobs, tried)), self.clock.event)

    def _predict(self) -> None:
        """Write down what the run is going to cost, where that can be known."""
        from tais.cost.history import known_rates
        from tais.cost.predict import PREDICTION, predict, write_prediction

        if self.options.resume or self.plan.brought or (self.run_dir / PREDICTION).exists():
            return
        rates = known_rates(self.run_dir.parent, self.plan.lock)
        if rates is not None:
            write_prediction(self.run_dir, predict(self.plan.lock, rates))

    def _reuse(self, planned: Sequence[Job], *, probes: bool = False) -> Reuse | None:
        if self.options.cache is None or (probes and not self._probed()):
            return None
        from tais.cache.reuse import Reuse
        from tais.cache.store import CacheStore
        from tais.executors.process import worker_environment

        arms, named = [job.arm for job in planned], self.options.placement.pass_env
        store, variables = CacheStore(self.options.cache), worker_environment(arms, named=named)
        return Reuse(store, self.run_dir, self.plan.lock, variables, self.observer.note, probes=probes)

    def _audit(self, executor: Executor) -> None:
        """Let the reference stacks read what they must, each stage from what the one before it left."""
        from tais.runs.audit_plan import AuditPlanner, asked_of, may_fail

        planner = AuditPlanner(self.run, self.plan.manifest, self.plan.lock, self._make_job)
        for stage in planner.stages():
            for job in stage:
                self.observer.forcing(job.arm.name, asked_of(job))
                try:
                    executor.run([job], self.clock.event)
                except EngineError as error:
                    if not may_fail(job):
                        raise
                    # What only explains may fail: the report then says so.
                    said = {"message": " ".join(str(error).split())}
                    write_atomic(job.arm_dir / UNAVAILABLE, canonical_json(said) + b"\n")
                    self.observer.note(f"{job.arm.name}: not possible here, see the report")

    def _job(self, name: str) -> AnswerJob:
        return self._make_job(self.plan.manifest.arms[name], self.run.arm(name))

    def _make_job(self, arm: Arm, folder: Path) -> AnswerJob:
        return AnswerJob(
            arm=arm,
            sampling=self.plan.manifest.sampling,
            items=self.run.items,
            arm_dir=folder,
            log=self.run.log(arm.name),
            part_samples=self.options.part_samples,
            part_seconds=self.options.part_seconds,
        )

    def _decide(self) -> Report:
        begun = time.monotonic()
        self.observer.note("scoring the answers, and deciding")
        decided = analyse(self.run, read_lock(self.run_dir), self._run_facts(), self.run.scores)
        report = with_renderer(self._with_cost(decided, begun))
        report = redacted(report) if self.options.redact else report
        self.observer.note("writing the report")
        write_views(report, self.run_dir)
        # Last of all: a run directory with a report is a finished one.
        write_atomic(self.run.report, report.to_json().encode())
        return report

    def _with_cost(self, report: Report, begun: float) -> Report:
        """Return the report with the time that deciding took, and the prediction beside the truth."""
        from tais.cost.predict import compared, read_prediction

        facts, run = report.facts, report.facts.run
        seconds = round(time.monotonic() - begun, 3)
        phases = {**run.phases, "": {**run.phases.get("", {}), "decide": seconds}}
        run = run.model_copy(update={"phases": phases})
        prediction = None if self.options.resume else read_prediction(self.run_dir)
        if prediction is not None:
            tokens = {name: arm.tokens for name, arm in facts.arms.items()}
            cost = compared(prediction, phases, tokens, (run.seconds or 0.0) + seconds)
            run = run.model_copy(update={"cost": cost})
        return report.model_copy(update={"facts": facts.model_copy(update={"run": run})})

    def _sign(self) -> None:
        if self.options.signer is not None:
            sign_run(self.run_dir, self.options.signer, note=self.observer.note)

    def _run_facts(self) -> RunFacts:
        entries = ledger_entries(self.run.ledger)
        earlier = [e["time"] for e in entries if e["run"] == self.run_dir.name and e["event"] == "start"]
        now = datetime.now(UTC)
        made = map(Attempt.model_validate, attempts(entries, self.plan.lock.manifest.sha256, self.asked))
        return RunFacts(
            id=self.run_dir.name,
            started=earlier[0] if earlier else self.started.isoformat(timespec="seconds"),
            ended=now.isoformat(timespec="seconds"),
            seconds=round((now - self.started).total_seconds(), 3),
            resumed=self.options.resume,
            phases=self.clock.phases,
            ledger=LedgerFacts(file=LEDGER, line=self._line, asked=self.asked, attempts=tuple(made)),
        )
