"""Model judges in a run: their questions become one more worker job, their replies stay in the run.

``judges/NAME/items.parquet`` holds the questions that one judge is asked, each once however many arms gave
that answer to that prompt, and ``judges/NAME/part-*.parquet`` its replies, word for word. A judge is run like
an arm, at temperature 0; scores are read from the stored replies, so that a report can be computed again
without an engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tais.errors import Place, StoreError
from tais.rundir.copying import copy_folder
from tais.rundir.items import StoredItem, prompt_text
from tais.rundir.layout import JUDGE_ELSEWHERE, RunDir
from tais.rundir.samples import answers, part_files
from tais.scorers.answer import said_text
from tais.scorers.base import EMPTY, Score, Scores, collect
from tais.scorers.judges import Judge, question_id
from tais.scoring.opened import opened_batteries

__all__ = ["Judging", "Replies", "copy_replies"]


Key = tuple[str, str]
"""Scorer and digest of a question."""


@dataclass(slots=True)
class Judging:
    """What one judge was needed for, counted while its replies are read."""

    answers: int = 0
    """Answers that it judged, over all arms and scorers; an empty answer needs no judge."""
    asked: set[Key] = field(default_factory=set)
    """Questions among them that differ: as many calls were made."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Answers whose reply could not be read, by arm."""


def copy_replies(judge: str, old: RunDir, new: RunDir, run: RunDir) -> None:
    """Copy what a judge said in two runs into a comparison of arms of both."""
    own = run.judge(judge)
    for source, target in ((new, own), (old, own / JUDGE_ELSEWHERE)):
        if part_files(source.judge(judge)):
            copy_folder(source.root, source.judge(judge), target)


class Replies:
    """The stored replies of all judges of a run.

    Parameters
    ----------
    run
        The run directory.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._read: dict[str, dict[Key, str]] = {}
        self.judging: dict[str, Judging] = {}

    def scores(
        self, judge: Judge, arm: str, items: Sequence[StoredItem], said: Sequence[str | Score]
    ) -> Scores:
        """Return the scores of answers, in their order; see :meth:`score`."""
        pairs = list(zip(items, said, strict=True))
        distinct = {(item.battery, item.item_id, answer) for item, answer in pairs}
        return collect((self.score(judge, arm, *pair) for pair in pairs), len(distinct))

    def score(self, judge: Judge, arm: str, item: StoredItem, said: str | Score) -> Score:
        """Return the score of an answer, read from what the judge said about it.

        An answer of which nothing can be read comes with its score, see :func:`tais.scorers.said_text`.

        Raises
        ------
        StoreError
            When no reply is stored: an answer that nobody judged has no score.
        """
        if isinstance(said, Score):
            return said
        if not said.strip():
            return EMPTY
        key = (judge.name, question_id(judge.ask(prompt_text(item), said)))
        replies = self._of(judge.judge)
        if key not in replies:
            raise StoreError(
                f"the judge {judge.judge!r} has not replied about item {item.item_id!r} of battery "
                f"{item.battery!r} (arm {arm!r})",
                place=Place(file=str(self._run.judge(judge.judge))),
                remedy="Finish the run with --resume, or take its directory from the backup",
            )
        score = judge.read(replies[key], item.expect)
        tally = self.judging.setdefault(judge.judge, Judging())
        tally.answers += 1
        tally.asked.add(key)
        tally.unreadable[arm] += score.invalid
        return score

    def known(self, judge: Judge, items: Sequence[StoredItem], said: Sequence[str | Score]) -> Scores | None:
        """Return the scores of exchanged answers; None where the judge was not asked about one of them."""
        replies, found = self._of(judge.judge), []
        for item, answer in zip(items, said, strict=True):
            if isinstance(answer, Score) or not answer.strip():
                found.append(answer if isinstance(answer, Score) else EMPTY)
                continue
            key = (judge.name, question_id(judge.ask(prompt_text(item), answer)))
            if key not in replies:
                return None
            found.append(judge.read(replies[key], item.expect))
        return collect(found, len(found))

    def _of(self, judge: str) -> dict[Key, str]:
        if judge not in self._read:
            own = self._run.judge(judge)
            # What the run's own judge said goes before what it said in the other run of a comparison.
            self._read[judge] = {
                key: said for folder in (own / JUDGE_ELSEWHERE, own) for key, said in _replied(folder)
            }
        return self._read[judge]


def _replied(folder: Path) -> Iterator[tuple[Key, str]]:
    """Yield what a judge said, without its thinking; nothing, which is unreadable, where that was cut."""
    opened = opened_batteries(folder)
    for reply in answers(folder):
        said = said_text(reply.text, reply.finish_reason, reply.parts, opened=reply.battery in opened)
        yield (reply.battery, reply.item_id), "" if isinstance(said, Score) else said
