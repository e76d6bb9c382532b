"""The exchange control of one reference: its stored answers under other items, scored again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tais.analysis.arm_table import ArmTable
from tais.rundir.items import Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.scorers import Scorer, ScorerBase, Scores
from tais.scorers.answer import score_answer
from tais.scorers.base import collect
from tais.scorers.judges import Judge
from tais.scoring.exchange import (
    EndpointExchange,
    ItemKey,
    answered_items,
    donor_answers,
    exchanges_of,
)
from tais.scoring.replies import Replies
from tais.verdict.evidence import ExchangeEvidence, Unexchanged

__all__ = ["exchange_evidence"]

# Answers held in memory at a time.
_AT_ONCE = 5000


def exchange_evidence(
    run: RunDir,
    lock: Lock,
    items: Items,
    arm: str,
    table: ArmTable,
    scorers: Mapping[str, ScorerBase],
    replies: Replies,
) -> Iterator[ExchangeEvidence]:
    """Yield the exchange control of every endpoint of a reference.

    Parameters
    ----------
    run, lock, items
        Of the run.
    arm, table
        The reference, and its scores.
    scorers
        Scorer of each battery.
    replies
        What judges said, of exchanged answers too.

    Raises
    ------
    StoreError
        When samples are damaged.
    """
    made = _Exchange(run, lock, items, arm, table, replies)
    answered, probed = answered_items(run.arm(arm)), answered_items(run.probe(arm))
    for exchange in exchanges_of(lock, scorers, items, answered, probed):
        yield made.evidence(exchange, scorers[exchange.battery])


class _Exchange:
    """What the exchanges of one reference share."""

    def __init__(
        self, run: RunDir, lock: Lock, items: Items, arm: str, table: ArmTable, replies: Replies
    ) -> None:
        self.run, self.items, self.arm, self.table, self.replies = run, items, arm, table, replies
        self.repeats = lock.sampling.n

    def evidence(self, exchange: EndpointExchange, scorer: ScorerBase) -> ExchangeEvidence:
        """Return one exchange, scored."""
        scored = self._scored(exchange, scorer)
        if scored is None:
            nothing = replace(exchange, pairs=(), clusters=())
            return self._evidence(nothing, scorer, np.zeros(0), np.zeros(0, np.bool_), "not_judged")
        return self._evidence(exchange, scorer, *scored, unexchanged=exchange.unexchanged)

    def _evidence(
        self,
        exchange: EndpointExchange,
        scorer: ScorerBase,
        values: NDArray[np.float64],
        invalid: NDArray[np.bool_],
        unexchanged: Unexchanged | None,
    ) -> ExchangeEvidence:
        own = (self.items.row(*item) * self.repeats for item, _ in exchange.pairs)
        rows = np.searchsorted(self.table.keys, np.fromiter(own, np.int64, len(exchange.pairs)))
        return ExchangeEvidence(
            reference=self.arm,
            battery=exchange.battery,
            scorer=scorer.name,
            kind=scorer.kind,
            clusters=np.asarray(exchange.clusters, dtype=np.str_),
            own=self.table.values[rows],
            exchanged=values,
            own_invalid=self.table.invalid[rows],
            exchanged_invalid=invalid,
            stratum=exchange.stratum,
            unexchanged=unexchanged,
        )

    def _scored(
        self, exchange: EndpointExchange, scorer: ScorerBase
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
        """Return values and invalid marks of the exchanged answers; None where a judge was not asked."""
        values, invalid = [np.zeros(0)], [np.zeros(0, np.bool_)]
        for first in range(0, len(exchange.pairs), _AT_ONCE):
            scores = self._score(exchange.pairs[first : first + _AT_ONCE], scorer)
            if scores is None:
                return None
            values.append(scores.values)
            invalid.append(scores.invalid)
        return np.concatenate(values), np.concatenate(invalid)

    def _score(self, pairs: tuple[tuple[ItemKey, ItemKey], ...], scorer: ScorerBase) -> Scores | None:
        found = donor_answers(self.run, self.arm, {donor for _, donor in pairs})
        given = [found[donor] for _, donor in pairs]
        if isinstance(scorer, Judge):
            said = [answer.said for answer in given]
            return self.replies.known(scorer, [self.items[item] for item, _ in pairs], said)
        assert isinstance(scorer, Scorer), "what is no judge scores by itself"
        expects = [self.items.expect(*item) for item, _ in pairs]
        scores = [
            score_answer(
                scorer, answer.text, expect, answer.finish_reason, answer.parts, opened=answer.opened
            )
            for answer, expect in zip(given, expects, strict=True)
        ]
        return collect(scores, len(scores))
