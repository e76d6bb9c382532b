"""Which answers people are asked about: the flipped items of a run, and some that agree, as controls."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from tais.common.files import canonical_json
from tais.errors import UsageError
from tais.manifest.model import Role
from tais.records import SampleKey
from tais.rundir.asked import asked_otherwise
from tais.rundir.items import StoredItem, prompt_text
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.scores import CHANGED, KEY, answer_texts, paired_scores
from tais.scoring.locked_scorers import scorers_of

__all__ = ["Answer", "Case", "Direction", "Selection", "Shown", "collect"]

Direction = Literal["worse", "better", "same"]

# Letters only: a spreadsheet makes numbers and dates of anything that looks like one.
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_ROW_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked about. Empty tuples mean all."""

    batteries: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ()
    also: int = 0
    """Items that agree, as blind controls."""

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {"batteries": list(self.batteries), "scorers": list(self.scorers), "also": self.also}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as people see it: by itself, and without its arm."""

    row: str
    battery: str
    prompt: str
    expect: object
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One (item, repeat) of a screened contrast, and the rows of its two answers."""

    reference: str
    candidate: str
    scorer: str
    stratum: str | None
    """As of the endpoint that the item belongs to."""
    key: SampleKey
    cluster: str
    direction: Direction
    rows: tuple[str, str]
    """Of the reference's and of the candidate's answer; one row where the answers are the same."""
    expected: tuple[bool, bool]
    """What the scorer says of the two."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that goes on a sheet."""

    cases: tuple[Case, ...]
    answers: Mapping[str, Answer]
    """By row, in the order shown, which tells nothing."""


def collect(
    run: RunDir,
    lock: Lock,
    scores: Path,
    items: Mapping[tuple[str, str], StoredItem],
    selection: Selection,
    secret: bytes,
) -> Shown:
    """Return what a selection shows of a run; the same again for the same secret.

    Parameters
    ----------
    run
        The run directory, with the parts of its arms.
    lock
        Its lock.
    scores
        scores.parquet of the same samples.
    items
        What was asked, by (battery, item id).
    selection
        Batteries, scorers and number of controls.
    secret
        Key of the row ids, of the order of rows and of the choice of controls.

    Raises
    ------
    UsageError
        When a battery or scorer of the selection is not in the run.
    """
    _check(selection, lock)
    cases: list[Case] = []
    answers: dict[str, Answer] = {}
    split = {name for name, scorer in scorers_of(lock).items() if scorer.exchange == "polarity"}
    for contrast in lock.contrasts:
        if contrast.role is not Role.screen:
            continue
        sides = contrast.sides
        scored = _scored(paired_scores(scores, *sides, asked_otherwise(run, lock, sides)), selection)
        picked = dict(_picked(scored, selection.also, secret, sides))
        texts = [answer_texts(run.arm(arm), picked) for arm in sides]
        for key, row in picked.items():
            item = items[key[:2]]
            pair = [_answer(item, key, found[key], secret) for found in texts]
            answers |= {answer.row: answer for answer in pair}
            stratum = str(item.expect) if key.battery in split else None
            rows = (pair[0].row, pair[1].row)
            cases.append(
                Case(*sides, row.scorer, stratum, key, item.cluster, row.direction, rows, row.expected)
            )
    return Shown(tuple(cases), {row: answers[row] for row in sorted(answers)})


def _check(selection: Selection, lock: Lock) -> None:
    known = {
        "battery": [battery.name for battery in lock.batteries],
        "scorer": sorted({battery.scorer.name for battery in lock.batteries}),
    }
    for what, wanted in (("battery", selection.batteries), ("scorer", selection.scorers)):
        for name in wanted:
            if name not in known[what]:
                remedy = f"Known: {', '.join(known[what])}"
                raise UsageError(f"this run has no {what} {name!r}", remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Row:
    scorer: str
    expected: tuple[bool, bool]

    @property
    def direction(self) -> Direction:
        before, now = self.expected
        return "same" if before == now else "worse" if before else "better"


def _scored(both: pa.Table, selection: Selection) -> dict[SampleKey, _Row]:
    """Return the pairs that a selection speaks of: flipped, or agreeing."""
    for column, wanted in (("battery", selection.batteries), ("scorer", selection.scorers)):
        if wanted:
            both = both.filter(pc.is_in(both.column(column), pa.array(wanted)))
    columns = [both.column(name).to_pylist() for name in (*KEY, "scorer", "value", "value_candidate")]
    found = {}
    for battery, item, repeat, scorer, before, now in sorted(zip(*columns, strict=True), key=lambda r: r[:3]):
        row = _Row(scorer, (before >= CHANGED, now >= CHANGED))
        # A score that moves a little across one half is neither a flip nor agreement; nor is one without a
        # number (NaN compares false).
        if (row.direction != "same") == (abs(before - now) >= CHANGED) and before == before and now == now:
            found[SampleKey(battery, item, repeat)] = row
    return found


def _picked(
    scored: Mapping[SampleKey, _Row], also: int, secret: bytes, sides: tuple[str, str]
) -> Iterator[tuple[SampleKey, _Row]]:
    yield from ((key, row) for key, row in scored.items() if row.direction != "same")
    if also:
        agreeing = (key for key, row in scored.items() if row.direction == "same")
        chosen = sorted(agreeing, key=lambda key: _mac(secret, "control", *sides, *key))[:also]
        yield from ((key, scored[key]) for key in chosen)


def _answer(item: StoredItem, key: SampleKey, text: str, secret: bytes) -> Answer:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    row = _mac(secret, "row", *key, digest)[:_ROW_LETTERS].translate(_LETTERS)
    return Answer(row, key.battery, prompt_text(item), item.expect, text)


def _mac(secret: bytes, *parts: object) -> str:
    return hmac.new(secret, canonical_json(list(parts)), hashlib.sha256).hexdigest()
