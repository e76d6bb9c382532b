"""What judges are asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tais.manifest.model import Arm, JudgeArm, Manifest, Sampling
from tais.records import Message
from tais.rundir.items import Items, StoredItem, prompt_text, write_rows
from tais.rundir.layout import ITEMS, RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.samples import answers
from tais.scorers import Score, ScorerBase, said_text
from tais.scorers.judges import Asked, Judge, question_id
from tais.scoring.exchange import answered_items, donor_answers, exchanges_of, screened_references
from tais.scoring.locked_scorers import all_scorers, judges_of, scorers_of
from tais.scoring.opened import opened_batteries
from tais.worker.protocol import AnswerJob

__all__ = ["judge_job", "judge_jobs", "planned_judges"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def planned_judges(manifest: Manifest, lock: Lock, run_dir: Path, like: AnswerJob) -> list[AnswerJob]:
    """Return a job for every judge that a scorer asks, in the manifest's order; see :func:`judge_jobs`."""
    asked = judges_of(lock)
    return [
        judge_job(judge, run_dir, max(j.max_tokens for j in asked[name]), like)
        for name, judge in manifest.judges.items()
        if name in asked
    ]


def judge_job(judge: JudgeArm, run_dir: Path, max_tokens: int, like: AnswerJob) -> AnswerJob:
    """Return the job of one judge: an arm's job with another folder, at temperature 0.

    Parameters
    ----------
    judge
        As the manifest has it.
    run_dir
        The run directory.
    max_tokens
        Longest reply that a scorer needs; the judge's own setting goes before it.
    like
        Job of an arm of the same run, for what is the same.
    """
    folder = RunDir(run_dir).judge(judge.name)
    most = judge.max_tokens or max_tokens
    return like.model_copy(
        update={
            "arm": Arm.model_validate(judge.model_dump(exclude={"max_tokens"})),
            "sampling": Sampling(temperature=0.0, max_tokens=most, n=1, seed=like.sampling.seed),
            "items": folder / ITEMS,
            "arm_dir": folder,
            "log": RunDir(run_dir).log(judge.name),
        }
    )


def judge_jobs(
    run_dir: Path, lock: Lock, arms: Sequence[str], planned: Sequence[AnswerJob]
) -> list[AnswerJob]:
    """Write down what each judge is asked about the stored answers, and return the jobs that ask it.

    Parameters
    ----------
    run_dir
        The run directory, with the answers of all arms.
    lock
        Its lock, with the scorers of each battery.
    arms
        Arms whose answers are judged, in the order in which the questions stand.
    planned
        Jobs of all judges; one that has nothing to ask is left out.
    """
    if not planned:
        return []
    run = RunDir(run_dir)
    items, scorers = Items(run.items), all_scorers(lock)
    jobs = []
    for job in planned:
        name = job.arm.name
        questions: dict[str, dict[str, StoredItem]] = {}
        for arm in arms:
            for asked, judge in _asked(run.arm(arm), scorers, items, name):
                key = question_id(asked)
                if key not in (of_scorer := questions.setdefault(judge.name, {})):
                    of_scorer[key] = _question(judge.name, key, asked)
        for asked, judge in _exchanged(run, lock, items, name):
            key = question_id(asked)
            questions.setdefault(judge.name, {}).setdefault(key, _question(judge.name, key, asked))
        if questions:
            job.items.parent.mkdir(parents=True, exist_ok=True)
            write_rows(job.items, (of_scorer.values() for of_scorer in questions.values()))
            jobs.append(job)
    return jobs


def _asked(
    arm_dir: Path, scorers: Mapping[str, Sequence[ScorerBase]], items: Items, name: str
) -> Iterator[tuple[Asked, Judge]]:
    """Yield what one judge must be asked about an arm's answers; equal answers more than once."""
    seen: set[tuple[str, str, str]] = set()
    opened = opened_batteries(arm_dir)
    for battery, item_id, _, text, reason, parts in answers(arm_dir):
        judges = [s for s in scorers[battery] if isinstance(s, Judge) and s.judge == name]
        said = said_text(text, reason, parts, opened=battery in opened) if judges else ""
        if isinstance(said, Score) or not said.strip() or (battery, item_id, said) in seen:
            continue
        seen.add((battery, item_id, said))
        prompt = prompt_text(items[battery, item_id])
        for judge in judges:
            yield judge.ask(prompt, said), judge


def _exchanged(run: RunDir, lock: Lock, items: Items, name: str) -> Iterator[tuple[Asked, Judge]]:
    """Yield what one judge must be asked about exchanged answers, where it decides and reads polarity."""
    scorers = scorers_of(lock)
    own = {
        battery: scorer
        for battery, scorer in scorers.items()
        if isinstance(scorer, Judge) and scorer.judge == name and scorer.exchange != "none"
    }
    for arm in screened_references(lock) if own else ():
        answered, probed = answered_items(run.arm(arm)), answered_items(run.probe(arm))
        exchanges = exchanges_of(lock, scorers, items, answered, probed)
        for exchange in (e for e in exchanges if e.battery in own):
            answers_of = donor_answers(run, arm, {donor for _, donor in exchange.pairs})
            for item, donor in exchange.pairs:
                said = answers_of[donor].said
                if isinstance(said, str) and said.strip():
                    yield own[exchange.battery].ask(prompt_text(items[item]), said), own[exchange.battery]


def _question(scorer: str, key: str, asked: Asked) -> StoredItem:
    # Text as it is has its place in no chat: it is the whole input that a classifier was trained on.
    turns = [("user", asked)] if isinstance(asked, str) else [(turn.role, turn.content) for turn in asked]
    # No tokenizer takes a lone surrogate; the key is that of the answer as it was.
    messages = tuple(Message(role, _SURROGATE.sub("\ufffd", content)) for role, content in turns)
    return StoredItem(scorer, key, key, messages, None, chat=not isinstance(asked, str))
