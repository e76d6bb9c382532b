"""Model judges in a run: their questions become one more worker job, their replies stay in the run.

``judges/NAME/items.parquet`` holds the questions that one judge is asked, each once however many arms gave
that answer to that prompt, and ``judges/NAME/part-*.parquet`` its replies, word for word. A judge is run like
an arm, at temperature 0; scores are read from the stored replies, so that a report can be computed again
without an engine.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tais.engines.base import Message
from tais.errors import ManifestError, Place, StoreError
from tais.rundir.items import Items, StoredItem, prompt_text, write_rows
from tais.rundir.samples import part_files, read_batches
from tais.scorers import ScorerBase, find_scorer
from tais.scorers.base import EMPTY, Score, Scores, collect
from tais.scorers.judges import Asked, Judge, question_id

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery
    from tais.manifest.model import Manifest
    from tais.worker.main import Job

__all__ = [
    "FOLDER",
    "REFERENCE",
    "Judging",
    "Replies",
    "Stored",
    "all_scorers",
    "answers",
    "check_judges",
    "copy_replies",
    "judge_jobs",
    "planned_judges",
    "scorers_of",
    "second_scorers_of",
]

FOLDER = "judges"
REFERENCE = "reference"
"""Inside a judge's folder: what it said in the other run that a comparison cites."""
_COLUMNS = ("battery", "item_id", "repeat", "text", "text_raw")

_SURROGATE = re.compile("[\ud800-\udfff]")

Key = tuple[str, str]
"""Scorer and digest of a question."""


class Stored(NamedTuple):
    """A stored answer."""

    battery: str
    item_id: str
    repeat: int
    text: str


def check_judges(manifest: Manifest, batteries: Sequence[LoadedBattery], file: Path) -> None:
    """Raise ManifestError unless every judge that a scorer asks stands in the manifest."""
    from tais.common.document import suggest

    for battery in batteries:
        for scorer in (battery.scorer, *battery.second_scorers):
            if not isinstance(scorer, Judge) or scorer.judge in manifest.judges:
                continue
            where = Place(file=str(file), key=f"battery {battery.name!r}")
            if not scorer.judge:
                remedy = "Write {name: ..., judge: NAME} and, at the top level, judges: {NAME: {engine: ...}}"
                raise ManifestError(f"the scorer {scorer.name!r} names no judge", place=where, remedy=remedy)
            remedy = suggest(scorer.judge, manifest.judges, "Judges")
            raise ManifestError(f"no judge named {scorer.judge!r}", place=where, remedy=remedy)


def judges_of(lock: Mapping[str, Any]) -> dict[str, list[Judge]]:
    """Return the scorers of all batteries that ask a judge, by the name of the judge."""
    found: dict[str, list[Judge]] = {}
    for of_battery in all_scorers(lock).values():
        for scorer in of_battery:
            if isinstance(scorer, Judge):
                found.setdefault(scorer.judge, []).append(scorer)
    return found


def scorers_of(lock: Mapping[str, Any]) -> dict[str, ScorerBase]:
    """Return each battery's scorer, as the lock fixed it."""
    return {battery["name"]: _made(battery["scorer"]) for battery in lock["batteries"]}


def second_scorers_of(lock: Mapping[str, Any]) -> dict[str, tuple[ScorerBase, ...]]:
    """Return the scorers that only look on, of each battery that has any."""
    listed = {battery["name"]: battery.get("second_scorers", ()) for battery in lock["batteries"]}
    return {name: tuple(_made(spec) for spec in specs) for name, specs in listed.items() if specs}


def all_scorers(lock: Mapping[str, Any]) -> dict[str, tuple[ScorerBase, ...]]:
    """Return all scorers of each battery, the one that decides first."""
    second = second_scorers_of(lock)
    return {name: (scorer, *second.get(name, ())) for name, scorer in scorers_of(lock).items()}


def _made(spec: Mapping[str, Any]) -> ScorerBase:
    return find_scorer({key: value for key, value in spec.items() if key != "version"})


def answers(arm_dir: Path) -> Iterator[Stored]:
    """Yield every stored answer of an arm, or reply of a judge."""
    for batch in read_batches(arm_dir, _COLUMNS):
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        for battery, item_id, repeat, text, raw in zip(*columns, strict=True):
            whole = text if raw is None else raw.decode("utf-8", "surrogatepass")
            yield Stored(battery, item_id, repeat, whole)


def planned_judges(manifest: Manifest, lock: Mapping[str, Any], run_dir: Path, like: Job) -> list[Job]:
    """Return a job for every judge that a scorer asks, in the manifest's order; see :func:`judge_jobs`."""
    asked = judges_of(lock)
    return [
        judge_job(judge.model_dump(mode="json"), run_dir, max(j.max_tokens for j in asked[name]), like)
        for name, judge in manifest.judges.items()
        if name in asked
    ]


def judge_job(judge: Mapping[str, Any], run_dir: Path, max_tokens: int, like: Job) -> Job:
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
    name = judge["name"]
    folder = run_dir / FOLDER / name
    sampling = {"temperature": 0.0, "max_tokens": judge["max_tokens"] or max_tokens, "n": 1}
    return {
        **like,
        "arm": {key: value for key, value in judge.items() if key != "max_tokens"},
        "sampling": {**sampling, "seed": like["sampling"]["seed"]},
        "items": str(folder / "items.parquet"),
        "arm_dir": str(folder),
        "log": str(run_dir / "logs" / f"{name}.log"),
    }


def judge_jobs(
    run_dir: Path, lock: Mapping[str, Any], arms: Sequence[str], planned: Sequence[Job]
) -> list[Job]:
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
    items, scorers = Items(run_dir / "items.parquet"), all_scorers(lock)
    jobs = []
    for job in planned:
        name = job["arm"]["name"]
        questions: dict[str, dict[str, StoredItem]] = {}
        for arm in arms:
            for asked, judge in _asked(run_dir / "arms" / arm, scorers, items, name):
                key = question_id(asked)
                if key not in (of_scorer := questions.setdefault(judge.name, {})):
                    of_scorer[key] = _question(judge.name, key, asked)
        if questions:
            path = Path(job["items"])
            path.parent.mkdir(parents=True, exist_ok=True)
            write_rows(path, (of_scorer.values() for of_scorer in questions.values()))
            jobs.append(job)
    return jobs


def _asked(
    arm_dir: Path, scorers: Mapping[str, Sequence[ScorerBase]], items: Items, name: str
) -> Iterator[tuple[Asked, Judge]]:
    """Yield what one judge must be asked about an arm's answers; equal answers more than once."""
    seen: set[tuple[str, str, str]] = set()
    for battery, item_id, _, text in answers(arm_dir):
        judges = [s for s in scorers[battery] if isinstance(s, Judge) and s.judge == name]
        if not judges or not text.strip() or (battery, item_id, text) in seen:
            continue
        seen.add((battery, item_id, text))
        prompt = prompt_text(items[battery, item_id])
        for judge in judges:
            yield judge.ask(prompt, text), judge


def _question(scorer: str, key: str, asked: Asked) -> StoredItem:
    # Text as it is has its place in no chat: it is the whole input that a classifier was trained on.
    turns = [("user", asked)] if isinstance(asked, str) else [(turn.role, turn.content) for turn in asked]
    # No tokenizer takes a lone surrogate; the key is that of the answer as it was.
    messages = tuple(Message(role, _SURROGATE.sub("\ufffd", content)) for role, content in turns)
    return StoredItem(scorer, key, key, messages, None, chat=not isinstance(asked, str))


@dataclass(slots=True)
class Judging:
    """What one judge was needed for, counted while its replies are read."""

    answers: int = 0
    """Answers that it judged, over all arms and scorers; an empty answer needs no judge."""
    asked: set[Key] = field(default_factory=set)
    """Questions among them that differ: as many calls were made."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Answers whose reply could not be read, by arm."""


def copy_replies(judge: str, old: Path, new: Path, run_dir: Path) -> None:
    """Copy what a judge said in two runs into a comparison of arms of both."""
    own = run_dir / FOLDER / judge
    for source, target in ((new, own), (old, own / REFERENCE)):
        if part_files(source / FOLDER / judge):
            shutil.copytree(source / FOLDER / judge, target, dirs_exist_ok=True)


class Replies:
    """The stored replies of all judges of a run.

    Parameters
    ----------
    run_dir
        The run directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / FOLDER
        self._read: dict[str, dict[Key, str]] = {}
        self.judging: dict[str, Judging] = {}

    def scores(self, judge: Judge, arm: str, items: Sequence[StoredItem], texts: Sequence[str]) -> Scores:
        """Return the scores of answers, in their order; see :meth:`score`."""
        pairs = list(zip(items, texts, strict=True))
        distinct = {(item.battery, item.item_id, text) for item, text in pairs}
        return collect((self.score(judge, arm, *pair) for pair in pairs), len(distinct))

    def score(self, judge: Judge, arm: str, item: StoredItem, text: str) -> Score:
        """Return the score of an answer, read from what the judge said about it.

        Raises
        ------
        StoreError
            When no reply is stored: an answer that nobody judged has no score.
        """
        if not text.strip():
            return EMPTY
        key = (judge.name, question_id(judge.ask(prompt_text(item), text)))
        replies = self._of(judge.judge)
        if key not in replies:
            raise StoreError(
                f"the judge {judge.judge!r} has not replied about item {item.item_id!r} of battery "
                f"{item.battery!r} (arm {arm!r})",
                place=Place(file=str(self._folder / judge.judge)),
                remedy="Finish the run with --resume, or take its directory from the backup",
            )
        score = judge.read(replies[key], item.expect)
        tally = self.judging.setdefault(judge.judge, Judging())
        tally.answers += 1
        tally.asked.add(key)
        tally.unreadable[arm] += score.invalid
        return score

    def _of(self, judge: str) -> dict[Key, str]:
        if judge not in self._read:
            own = self._folder / judge
            # What the run's own judge said goes before what it said in the other run of a comparison.
            self._read[judge] = {
                (reply.battery, reply.item_id): reply.text
                for folder in (own / REFERENCE, own)
                for reply in answers(folder)
            }
        return self._read[judge]
