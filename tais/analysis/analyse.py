"""From a run directory to its report: score, fold, decide. No engine is needed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tais.analysis.answer_seconds import answer_seconds
from tais.analysis.changed_items import with_items
from tais.analysis.gather import fold_run
from tais.analysis.scorer_agreement import with_scorer_agreement
from tais.common.version import __version__
from tais.report.renderer import renderer
from tais.rundir.items import Items
from tais.rundir.layout import ADJUDICATION, RunLayout
from tais.rundir.lock import lock_digest, read_lock, run_arms
from tais.rundir.origin import origin_of
from tais.rundir.samples import read_batches
from tais.rundir.scores import SECOND
from tais.scoring.locked_scorers import scorers_of, second_scorers_of
from tais.scoring.replies import Replies
from tais.scoring.score import score_arms
from tais.verdict.facts import ArmFacts, Facts, RunFacts, facts_of
from tais.verdict.report import Report

__all__ = ["analyse", "recompute"]


def analyse(run_dir: Path, run_facts: RunFacts, *, keep_scores: bool) -> Report:
    """Score the samples of a run and decide.

    Parameters
    ----------
    run_dir
        The run directory.
    run_facts
        Id, times and ledger, as they go into the report.
    keep_scores
        Whether to write scores.parquet; otherwise nothing in the directory changes.

    Raises
    ------
    StoreError
        When samples are damaged or do not belong together.
    """
    lock = read_lock(run_dir)
    items = Items(run_dir / "items.parquet")
    if keep_scores:
        return _decide(run_dir, run_dir / "scores.parquet", lock, items, run_facts)
    with tempfile.TemporaryDirectory(prefix="tais-") as folder:
        return _decide(run_dir, Path(folder) / "scores.parquet", lock, items, run_facts)


def recompute(run_dir: Path) -> Report:
    """Decide again from the samples alone; only the run's id, times and ledger are taken from its report.

    Raises
    ------
    StoreError
        When this is no run directory, or samples are damaged.
    """
    read_lock(run_dir)
    stored = run_dir / "report.json"
    run = facts_of(stored.read_bytes()).run if stored.exists() else RunFacts()
    return analyse(run_dir, run if run.id else RunFacts(id=run_dir.resolve().name), keep_scores=False)


def _decide(
    run_dir: Path,
    scores: Path,
    lock: dict[str, Any],
    items: Items,
    run_facts: RunFacts,
) -> Report:
    from tais.verdict.screen import decide

    scorers, second, replies = scorers_of(lock), second_scorers_of(lock), Replies(run_dir)
    layout = RunLayout(run_dir, scores)
    arms = run_arms(lock)
    arm_dirs = {arm: layout.arm_dir(arm) for arm in arms}
    score_arms(scores, arm_dirs, {name: (scorer,) for name, scorer in scorers.items()}, items, replies)
    if second:
        score_arms(scores.with_name(SECOND), arm_dirs, second, items, replies)
    facts = Facts.model_validate(
        {
            "tais": __version__,
            "renderer": renderer(),
            "run": run_facts,
            "lock": {"sha256": lock_digest(run_dir)},
            "manifest": {"sha256": lock["manifest"]["sha256"]},
            "limit": lock["limit"],
            "batteries": lock["batteries"],
            "arms": {arm: _arm_facts(layout, lock, arm) for arm in arms},
            **({"sweep": lock["sweep"]} if "sweep" in lock else {}),
            **({"drill": True} if lock.get("drill") else {}),
        }
    )
    report = decide(fold_run(layout, lock, items, scorers, facts))
    report = with_scorer_agreement(report, lock, arm_dirs, scores, replies)
    report = with_items(report, arm_dirs, scores, items)
    if (run_dir / ADJUDICATION).exists():
        from tais.adjudication.record import with_adjudication

        return with_adjudication(report, run_dir, lock, scores, items)
    return report


def _arm_facts(layout: RunLayout, lock: Mapping[str, Any], arm: str) -> ArmFacts:
    import pyarrow.compute as pc

    samples = tokens = truncated = 0
    for batch in read_batches(layout.arm_dir(arm), ("token_ids", "finish_reason")):
        samples += len(batch)
        tokens += pc.sum(pc.list_value_length(batch.column("token_ids"))).as_py() or 0
        truncated += pc.sum(pc.equal(batch.column("finish_reason"), "length")).as_py() or 0
    fixed = lock["arms"][arm]
    model = fixed["model"]["folder"] if isinstance(fixed["model"], Mapping) else fixed["model"]
    environment = layout.engine(arm).get("environment", {})
    origin = origin_of(layout.arm_dir(arm))
    return ArmFacts.model_validate(
        {
            "engine": fixed["engine"],
            "model": model,
            "dtype": fixed["dtype"],
            "order": fixed["order"],
            "engine_args": fixed["engine_args"],
            "speculation": fixed["speculative_config"],
            "system_prompt": fixed["system_prompt"],
            **({"fault": fixed["fault"]} if fixed.get("fault") else {}),
            "samples": samples,
            "tokens": tokens,
            "truncated": truncated,
            "timing": answer_seconds(layout.arm_dir(arm)),
            "hardware": environment.get("hardware"),
            "libraries": environment.get("libraries"),
            **({"origin": origin} if origin is not None else {}),
        }
    )
