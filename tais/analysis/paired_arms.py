"""Two arms side by side: which answers are the same, and where those that are not first differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tais.analysis.arm_table import Answer, ArmTable, Digests, read_answers
from tais.analysis.first_difference import first_difference
from tais.common.parts import differing_part, differing_parts
from tais.rundir.items import BatteryItems, Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import LockedBattery, LockedContrast
from tais.scorers import ScorerBase
from tais.scorers.judges import Judge
from tais.scorers.thinking import split_thinking
from tais.verdict.evidence import Divergence, EndpointEvidence, IdentityCounts

__all__ = ["Differing", "Pair", "read_divergences"]


_Kind = TypeVar("_Kind", np.float64, np.bool_)
# Answers held in memory at a time.
_AT_ONCE = 5000


class Differing(NamedTuple):
    """One answer that differs between two arms."""

    battery: str
    item_id: str
    repeat: int
    key: int


class Pair:
    """Both arms' samples of one battery, aligned by key."""

    def __init__(
        self,
        reference: ArmTable,
        candidate: ArmTable,
        items: BatteryItems,
        repeats: int,
        stratum: str | None = None,
    ) -> None:
        self.reference, self.candidate = reference, candidate
        self.items, self.repeats, self.stratum = items, repeats, stratum
        self.same: NDArray[np.bool_]
        self.keys, self.rows, self.columns = np.intersect1d(
            reference.keys, candidate.keys, assume_unique=True, return_indices=True
        )
        self.same_text = self._same(reference.text, candidate.text)
        # No ids in one of the arms: the bytes of the text decide alone.
        by_token = self._known(reference.tokens, candidate.tokens)
        same_tokens = self._same(reference.tokens, candidate.tokens)
        # A user reads the text: equal tokens that say something else are no same answer.
        self.same = self.same_text & (same_tokens | ~by_token)
        self.ends_alone = self._ends_alone() & ~self.same
        """Answers whose token ids differ by a last one alone, which no text shows: the same."""
        self.same |= self.ends_alone

    @classmethod
    def of_battery(cls, reference: ArmTable, candidate: ArmTable, items: BatteryItems, repeats: int) -> Pair:
        """Return the samples of one battery, from the tables of both arms."""
        bounds = items.first * repeats, (items.first + len(items.ids)) * repeats
        return cls(reference.between(*bounds), candidate.between(*bounds), items, repeats)

    def strata(self) -> Iterator[tuple[str | None, Pair]]:
        """Yield the strata of the battery with their samples; the whole pair where it is not split.

        A stratum that was asked for is there even where nobody answered it.
        """
        for name in self.items.stratum_names():
            yield name, self if name is None else self._stratum(name)

    def _stratum(self, name: str) -> Pair:
        rows = self.items.first + self.items.rows_of(name)
        reference, candidate = (
            table.part(np.isin(table.keys // self.repeats, rows))
            for table in (self.reference, self.candidate)
        )
        return Pair(reference, candidate, self.items, self.repeats, name)

    def _same(self, left: Digests, right: Digests) -> NDArray[np.bool_]:
        equal: NDArray[np.bool_] = (left[self.rows] == right[self.columns]).all(axis=1)
        return equal

    def _ends_alone(self) -> NDArray[np.bool_]:
        """Return where one of two logs leaves out the end token of an answer that came to its end in both."""
        left, right = self.reference, self.candidate
        if left.bare is None or right.bare is None:
            return np.zeros(len(self.keys), dtype=np.bool_)
        longer = self._same(left.bare, right.tokens) & self._known(left.tokens, right.tokens)
        shorter = self._same(left.tokens, right.bare) & self._known(left.tokens, right.tokens)
        ended = ~(_rows(left.cut, self.rows) | _rows(right.cut, self.columns))
        alone: NDArray[np.bool_] = self.same_text & (longer | shorter) & ended
        return alone

    def _known(self, left: Digests, right: Digests) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.logical_and(
            left[self.rows].any(axis=1), right[self.columns].any(axis=1)
        )
        return known

    def _item(self, index: int) -> tuple[str, int]:
        """Return item id and repeat of a pair."""
        return self._named(int(self.keys[index]))

    def _named(self, key: int) -> tuple[str, int]:
        return str(self.items.ids[key // self.repeats - self.items.first]), key % self.repeats

    def identity(self, battery: str) -> IdentityCounts:
        """Count the answers that are the same."""
        return IdentityCounts(battery, len(self.keys), int(self.same.sum()), int(self.same_text.sum()))

    def differing(self, battery: str, limit: int | None = None) -> Iterator[Differing]:
        """Yield the answers that differ, at most `limit` of them."""
        for index in np.flatnonzero(~self.same)[:limit]:
            yield Differing(battery, *self._item(index), int(self.keys[index]))

    def endpoint(
        self, battery: LockedBattery, scorer: ScorerBase, stratum: str | None = None
    ) -> EndpointEvidence:
        """Return the paired outcomes of the battery, or of the stratum that the pair holds."""
        items = self.keys // self.repeats - self.items.first
        # Where every item was answered once the arrays are shared by all contrasts, not copied for each.
        whole = len(items) == len(self.items.ids) and self.repeats == 1
        return EndpointEvidence(
            battery=battery.name,
            scorer=scorer.name,
            kind=scorer.kind,
            item_ids=self.items.ids if whole else self.items.ids[items],
            clusters=self.items.clusters if whole else self.items.clusters[items],
            reference=_rows(self.reference.values, self.rows),
            candidate=_rows(self.candidate.values, self.columns),
            reference_invalid=_rows(self.reference.invalid, self.rows),
            candidate_invalid=_rows(self.candidate.invalid, self.columns),
            reference_only=len(self.reference.keys) - len(self.keys),
            candidate_only=len(self.candidate.keys) - len(self.keys),
            unanswered=len(self.asked) - len(self.answered),
            reference_cut=_rows(self.reference.cut, self.rows),
            candidate_cut=_rows(self.candidate.cut, self.columns),
            margin=battery.margin,
            stratum=stratum,
            # A judge that is not split by expectation says whether an answer does harm.
            safety=stratum == "refuse" or (isinstance(scorer, Judge) and scorer.exchange == "none"),
            accuracy=scorer.accuracy if isinstance(scorer, Judge) else None,
            groups=self.items.groups if whole or self.items.groups is None else self.items.groups[items],
        )

    @property
    def asked(self) -> NDArray[np.int64]:
        """Keys of all that was asked."""
        rows = (self.items.first + self.items.rows_of(self.stratum)) * self.repeats
        keys: NDArray[np.int64] = (rows[:, None] + np.arange(self.repeats)).ravel()
        return keys

    @property
    def answered(self) -> NDArray[np.int64]:
        """Keys of what any of the two answered."""
        return np.union1d(self.reference.keys, self.candidate.keys)

    def drifted(self) -> list[tuple[str, int]]:
        """Return item and repeat of answers to unlike prompts; an imported one comes without its prompt."""
        left, right = self.reference.prompts, self.candidate.prompts
        return [
            self._item(index) for index in np.flatnonzero(self._known(left, right) & ~self._same(left, right))
        ]

    def only_reference(self) -> list[tuple[str, int]]:
        """Return item and repeat of what the reference alone answered."""
        return [self._named(key) for key in np.setdiff1d(self.reference.keys, self.keys).tolist()]

    def only_candidate(self) -> list[tuple[str, int]]:
        """Return item and repeat of what the candidate alone answered."""
        return [self._named(key) for key in np.setdiff1d(self.candidate.keys, self.keys).tolist()]


def _rows(values: NDArray[_Kind], rows: NDArray[np.int64]) -> NDArray[_Kind]:
    """Return some rows in ascending order; a view where they are all."""
    return values if len(rows) == len(values) else values[rows]


def read_divergences(
    run: RunDir, items: Items, repeats: int, contrast: LockedContrast, differing: Sequence[Differing]
) -> list[Divergence]:
    """Read the answers that differ once more, some at a time, for the place and the tokens."""
    found: list[Divergence] = []
    for first in range(0, len(differing), _AT_ONCE):
        part = differing[first : first + _AT_ONCE]
        keys = {entry.key for entry in part}
        reference, candidate = (read_answers(run.arm(arm), items, repeats, keys) for arm in contrast.sides)
        found += [_divergence(entry, reference[entry.key], candidate[entry.key]) for entry in part]
    return found


def _divergence(entry: Differing, reference: Answer, candidate: Answer) -> Divergence:
    place = _first_difference(reference, candidate)
    by_token = place.unit == "token"
    return Divergence(
        battery=entry.battery,
        item_id=entry.item_id,
        repeat=entry.repeat,
        position=place.position,
        unit=place.unit,
        reference_token=reference.token(place.position) if by_token else None,
        candidate_token=candidate.token(place.position) if by_token else None,
        reference_margin=reference.margin(place.position) if by_token else None,
        candidate_margin=candidate.margin(place.position) if by_token else None,
        proposed=candidate.proposed(place.position) if by_token else None,
        same_tokens=place.same_tokens,
        part=place.part,
        differs=_differing(reference, candidate),
        ends=place.ends,
        downstream=max(0, len(candidate.token_ids or ()) - place.position - 1) if by_token else 0,
    )


def _differing(reference: Answer, candidate: Answer) -> tuple[str, ...]:
    """Return the names of all parts in which two answers differ."""
    left, right = (
        split_thinking(side.text.decode("utf-8", "surrogatepass")) for side in (reference, candidate)
    )
    # Of other tokens, or in marks between the parts, the text differs as a whole.
    thinking = ("thinking",) if left.thinking != right.thinking else ()
    beside = tuple(name for name, *_ in differing_parts(reference.parts, candidate.parts))
    said = (left.said, left.calls) != (right.said, right.calls)
    return (*(("answer",) if said or not (thinking or beside) else ()), *thinking, *beside)


class _Place(NamedTuple):
    """Where two answers first differ."""

    position: int
    unit: Literal["token", "byte"]
    part: str
    ends: Literal["reference", "candidate"] | None
    same_tokens: bool


def _first_difference(reference: Answer, candidate: Answer) -> _Place:
    known = reference.token_ids is not None and candidate.token_ids is not None
    if reference.token_ids is not None and candidate.token_ids is not None:
        position = first_difference(reference.token_ids, candidate.token_ids)
        if position is not None:
            ends = _ends(position, reference.token_ids, candidate.token_ids)
            return _Place(position, "token", "text", ends, False)
    position = first_difference(reference.text, candidate.text)
    if position is not None:
        # Of equal tokens the text is no shorter answer.
        ends = None if known else _ends(position, reference.text, candidate.text)
        return _Place(position, "byte", "text", ends, known)
    part = differing_part(reference.parts, candidate.parts)
    assert part is not None, "digests differ, so the answers do"
    name, *sides = part
    return _Place(first_difference(*sides) or 0, "byte", name, None, known)


def _ends(
    position: int, reference: Sequence[object], candidate: Sequence[object]
) -> Literal["reference", "candidate"] | None:
    """Return the arm whose answer is over at a position where the other's goes on."""
    if position < min(len(reference), len(candidate)):
        return None
    return "reference" if len(reference) < len(candidate) else "candidate"
