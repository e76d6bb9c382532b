"""From a run directory to its report: score, gather, decide. No engine is needed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.compute as pc

from tais.adjudication.record import with_adjudication
from tais.analysis.answer_seconds import answer_seconds
from tais.analysis.changed_items import with_items
from tais.analysis.gather import fold_run
from tais.analysis.scorer_agreement import with_scorer_agreement
from tais.common.files import read_ordinary
from tais.common.version import __version__
from tais.manifest.model import Hypothesis
from tais.rundir.asked import asked_otherwise
from tais.rundir.engine_record import read_engine
from tais.rundir.items import Items
from tais.rundir.layout import SCORES, SECOND_SCORES, RunDir
from tais.rundir.lock import lock_digest, read_lock
from tais.rundir.lock_model import Lock, plain
from tais.rundir.origin import origin_of
from tais.rundir.samples import read_batches
from tais.scoring.locked_scorers import scorers_of, second_scorers_of
from tais.scoring.replies import Replies
from tais.scoring.score import score_arms
from tais.verdict.evidence import ScreenEvidence
from tais.verdict.facts import ArmFacts, Facts, RunFacts, facts_of
from tais.verdict.report import Report
from tais.verdict.screen import decide

__all__ = ["Analysis", "analyse", "examine", "recompute", "reexamine"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A decision, and the evidence that it rests on."""

    report: Report
    evidence: ScreenEvidence

    def under(self, hypothesis: Hypothesis) -> Report:
        """Return what the same evidence decides under another hypothesis; items and scorers left out."""
        rules = self.evidence.rules.model_copy(update={"hypothesis": hypothesis})
        return decide(replace(self.evidence, rules=rules))


def analyse(run: RunDir, lock: Lock, run_facts: RunFacts, scores: Path | None = None) -> Report:
    """Score the samples of a run and decide.

    Parameters
    ----------
    run
        The run directory.
    lock
        What was fixed before the first token.
    run_facts
        Id, times and ledger, as they go into the report.
    scores
        Where scores.parquet goes, and beside it the second scorers' table. None keeps none: then nothing is
        written.

    Returns
    -------
    Report
        Without the fact `renderer`, which whoever writes pages adds.

    Raises
    ------
    StoreError
        When samples are damaged or do not belong together.
    """
    return examine(run, lock, run_facts, scores).report


def examine(run: RunDir, lock: Lock, run_facts: RunFacts, scores: Path | None = None) -> Analysis:
    """Do what :func:`analyse` does, and return the evidence as well."""
    if scores is not None:
        return _Analysing(run, lock, scores).decide(run_facts)
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        return _Analysing(run, lock, Path(folder) / SCORES).decide(run_facts)


def recompute(run_dir: Path, lock: Lock | None = None) -> Report:
    """Decide again from the samples alone; only the run's id, times and ledger are taken from its report.

    Parameters
    ----------
    run_dir
        The run directory; nothing in it changes.
    lock
        What was fixed; None takes the run's own.

    Raises
    ------
    StoreError
        When this is no run directory, or samples are damaged.
    """
    return reexamine(run_dir, lock).report


def reexamine(run_dir: Path, lock: Lock | None = None) -> Analysis:
    """Do what :func:`recompute` does, and return the evidence as well."""
    run = RunDir(run_dir)
    own = read_lock(run_dir)
    report = run.report
    facts = facts_of(read_ordinary(report), str(report)).run if report.exists() else RunFacts()
    return examine(run, lock or own, facts if facts.id else RunFacts(id=run.id))


class _Analysing:
    """What the steps of one analysis share."""

    def __init__(self, run: RunDir, lock: Lock, scores: Path) -> None:
        self.run, self.lock, self.scores = run, lock, scores
        self.items = Items(run.items)
        self.arm_dirs = {arm: run.arm(arm) for arm in lock.run_arms()}
        self.scorers, self.replies = scorers_of(lock), Replies(run)

    def decide(self, run_facts: RunFacts) -> Analysis:
        self._score()
        facts = self._facts(run_facts)
        evidence = fold_run(self.run, self.lock, self.items, self.scores, self.scorers, self.replies, facts)
        report = decide(evidence)
        known = self.scores, self.replies, self.items
        report = with_scorer_agreement(report, self.lock, self.arm_dirs, *known)
        left_out = {c.sides: asked_otherwise(self.run, self.lock, c.sides) for c in self.lock.contrasts}
        report = with_items(report, self.arm_dirs, self.scores, self.items, left_out=left_out)
        if self.run.adjudication.exists():
            report = with_adjudication(report, self.run, self.lock, self.scores, self.items)
        return Analysis(report, evidence)

    def _score(self) -> None:
        first = {name: (scorer,) for name, scorer in self.scorers.items()}
        score_arms(self.scores, self.arm_dirs, first, self.items, self.replies)
        second = second_scorers_of(self.lock)
        if second:
            score_arms(self.scores.with_name(SECOND_SCORES), self.arm_dirs, second, self.items, self.replies)

    def _facts(self, run_facts: RunFacts) -> Facts:
        lock = self.lock
        said = {
            "tais": __version__,
            "run": run_facts,
            "lock": {"sha256": lock_digest(self.run.root)},
            "manifest": {"sha256": lock.manifest.sha256},
            "limit": lock.limit,
            "batteries": [plain(battery) for battery in lock.batteries],
            "arms": {arm: _arm_facts(self.run, lock, arm) for arm in self.arm_dirs},
            **({"sweep": plain(lock.sweep)} if lock.sweep is not None else {}),
            **({"drill": True} if lock.drill else {}),
        }
        return Facts.model_validate(said)


def _arm_facts(run: RunDir, lock: Lock, arm: str) -> ArmFacts:
    fixed, folder = lock.arms[arm], run.arm(arm)
    written = plain(fixed)
    environment = read_engine(folder).environment
    origin = origin_of(folder)
    said = {
        "engine": fixed.engine,
        "model": fixed.model_name,
        "dtype": fixed.dtype,
        "order": fixed.order,
        "engine_args": written["engine_args"],
        "speculation": written.get("speculative_config"),
        "system_prompt": fixed.system_prompt,
        **({"fault": written["fault"]} if fixed.fault else {}),
        **_counts(folder),
        "timing": answer_seconds(folder),
        "hardware": environment.get("hardware"),
        "libraries": environment.get("libraries"),
        **({"origin": origin} if origin is not None else {}),
    }
    return ArmFacts.model_validate(said)


def _counts(arm_dir: Path) -> dict[str, int]:
    """Count the answers of an arm, their tokens, and those that were cut off."""
    samples = tokens = truncated = 0
    for batch in read_batches(arm_dir, ("token_ids", "finish_reason")):
        samples += len(batch)
        tokens += pc.sum(pc.list_value_length(batch.column("token_ids"))).as_py() or 0
        truncated += pc.sum(pc.equal(batch.column("finish_reason"), "length")).as_py() or 0
    return {"samples": samples, "tokens": tokens, "truncated": truncated}
