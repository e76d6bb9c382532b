"""What scorers say of each other, and judges of themselves: from a run's files into its report.

Nothing here decides. It fills `details`: of the report, how far the scorers of one battery agree, how many
calls to each judge equal answers saved, and the bias scores of BBQ; of an endpoint, how many of its flips a
second scorer confirms, and its rates corrected for a judge's stated errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tais.errors import StoreError
from tais.rundir.items import Items
from tais.rundir.layout import SECOND_SCORES
from tais.rundir.lock_model import Lock
from tais.rundir.samples import answers
from tais.scorers import ScorerBase, scorer_label
from tais.scorers.bbq import bias_scores
from tais.scorers.judges import Judge
from tais.scoring.locked_scorers import all_scorers, judges_of
from tais.scoring.replies import Judging, Replies
from tais.stats.agreement import agreement, confirmed_flips, corrected_difference, rogan_gladen
from tais.stats.paired import PairedTable, tango_interval
from tais.stats.proportions import as_interval
from tais.stats.tidy import tidy, tidy_values
from tais.verdict.details import LISTED_ITEMS, written, written_list
from tais.verdict.details.endpoint import Invalid, JudgeError, SecondScorer
from tais.verdict.details.parts import Estimate
from tais.verdict.details.screen import Agreement, ArmAgreement, Bias, DisagreeingAnswer, JudgeCalls
from tais.verdict.report import ContrastReport, EndpointReport, Report

__all__ = ["with_scorer_agreement"]


class _Row(NamedTuple):
    value: float
    invalid: bool
    label: str

    @property
    def outcome(self) -> str:
        """What the scorer says, in words that all scorers share."""
        if self.invalid:
            return "invalid"
        return "as expected" if self.value >= 0.5 else "not as expected"


Key = tuple[str, str, int]
"""Arm, item, repeat."""
Rows = dict[Key, _Row]


def with_scorer_agreement(
    report: Report,
    lock: Lock,
    arm_dirs: Mapping[str, Path],
    scores: Path,
    replies: Replies,
    items: Items,
) -> Report:
    """Return the report with what scorers say of each other.

    Parameters
    ----------
    report
        A decided report.
    lock
        The run's lock.
    arm_dirs
        Directory of each arm's parts.
    scores
        scores.parquet; the table of the second scorers stands beside it.
    replies
        The judges' replies, from which the scores were read.
    items
        What was asked.

    Returns
    -------
    Report
        The same decision.
    """
    scorers = all_scorers(lock)
    opinions = {
        name: _Opinions(name, listed, scores, arm_dirs, _strata(items, name, listed[0]))
        for name, listed in scorers.items()
        if len(listed) > 1 or listed[0].name == "bbq"
    }
    found = (
        _judges(lock, replies),
        [entry for one in opinions.values() for entry in one.agreements()],
        [entry for one in opinions.values() for entry in one.bias()],
    )
    contrasts = tuple(_contrast(c, scorers, opinions, report.rules.alpha) for c in report.contrasts)
    details = dict(report.details)
    for entries in found:
        details |= written_list(entries)
    return report.model_copy(update={"contrasts": contrasts, "details": details})


def _judges(lock: Lock, replies: Replies) -> list[JudgeCalls]:
    """Say what each judge was asked, and what equal answers saved."""
    found = []
    for name, scorers in judges_of(lock).items():
        if name not in lock.judges:
            raise StoreError(f"the lock names no judge {name!r}, which a scorer asks")
        arm, tally = lock.judges[name], replies.judging.get(name, Judging())
        found.append(
            JudgeCalls(
                judge=name,
                model=arm.model_name,
                engine=arm.engine,
                scorers=tuple(sorted({scorer.name for scorer in scorers})),
                answers=tally.answers,
                asked=len(tally.asked),
                saved=tally.answers - len(tally.asked),
                unreadable=dict(sorted(tally.unreadable.items())),
            )
        )
    return found


def _strata(items: Items, battery: str, scorer: ScorerBase) -> dict[str, str]:
    """Return the stratum of each item, by id; empty where the battery is not split."""
    if scorer.exchange != "polarity":
        return {}
    own = items.of(battery, split=True)
    return dict(zip(own.ids.tolist(), own.strata.tolist() if own.strata is not None else (), strict=True))


class _Opinions:
    """All that the scorers of one battery said."""

    def __init__(
        self,
        battery: str,
        scorers: Sequence[ScorerBase],
        scores: Path,
        arm_dirs: Mapping[str, Path],
        strata: Mapping[str, str],
    ) -> None:
        self.battery, self.arm_dirs, self.strata = battery, arm_dirs, strata
        self.scorers = {scorer_label(scorer): scorer for scorer in scorers}
        self.first, *self.others = self.scorers
        self.rows = _read(scores, battery)
        if self.others:
            self.rows |= _read(scores.with_name(SECOND_SCORES), battery)

    def agreements(self) -> Iterator[Agreement]:
        """Yield agreement of the deciding scorer with each other one, every distinct answer once."""
        strata: dict[str | None, list[Key]] = {}
        for key in self._distinct() if self.others else ():
            strata.setdefault(self.strata.get(key[1]), []).append(key)
        for other in self.others:
            for stratum, keys in strata.items():
                yield self._agreement(other, stratum, keys)

    def _agreement(self, other: str, stratum: str | None, keys: Sequence[Key]) -> Agreement:
        first, second = self.rows[self.first], self.rows[other]
        pairs = [(first[key].outcome, second[key].outcome) for key in keys]
        found = agreement(*zip(*pairs, strict=True))
        differing = [keys[index] for index in found.disagreements]
        confusion: dict[str, dict[str, int]] = {}
        for (one, two), count in sorted(found.confusion.items()):
            confusion.setdefault(one, {})[two] = count
        return Agreement(
            battery=self.battery,
            stratum=stratum,
            first=self.first,
            second=other,
            n=found.n,
            observed=tidy(found.observed),
            kappa=None if found.kappa is None else tidy(found.kappa),
            standard_error=None if found.standard_error is None else tidy(found.standard_error),
            confusion=confusion,
            disagreements=len(differing),
            disagreeing_items=self._listed(other, differing),
            arms=tuple(self._by_arm(other, stratum)),
        )

    def _by_arm(self, other: str, stratum: str | None) -> Iterator[ArmAgreement]:
        first, second = self.rows[self.first], self.rows[other]
        for arm in sorted(self.arm_dirs):
            keys = [key for key in first if key[0] == arm and self.strata.get(key[1]) == stratum]
            differing = [key for key in keys if first[key].outcome != second[key].outcome]
            if keys:
                yield ArmAgreement(
                    arm=arm,
                    n=len(keys),
                    disagreements=len(differing),
                    share=tidy(len(differing) / len(keys)),
                    disagreeing_items=self._listed(other, differing),
                )

    def _listed(self, other: str, differing: Sequence[Key]) -> tuple[DisagreeingAnswer, ...]:
        first, second = self.rows[self.first], self.rows[other]
        return tuple(
            DisagreeingAnswer(
                item_id=key[1],
                repeat=key[2],
                arm=key[0],
                first=first[key].outcome,
                second=second[key].outcome,
            )
            for key in differing[:LISTED_ITEMS]
        )

    def _distinct(self) -> Iterator[Key]:
        """Yield the first key of every distinct (item, answer), over all arms in the order of their names."""
        seen: set[tuple[str, bytes]] = set()
        for arm in sorted(self.arm_dirs):
            for battery, item, repeat, text, _, parts in answers(self.arm_dirs[arm]):
                if battery != self.battery:
                    continue
                whole = text if parts is None else f"{text}\0{parts}"
                digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()
                if (item, digest) not in seen:
                    seen.add((item, digest))
                    yield arm, item, repeat

    def bias(self) -> Iterator[Bias]:
        """Yield BBQ's bias scores of every arm."""
        if self.scorers[self.first].name != "bbq":
            return
        for arm in sorted(self.arm_dirs):
            labels = [row.label for key, row in self.rows[self.first].items() if key[0] == arm]
            found = bias_scores(labels)
            yield Bias(battery=self.battery, arm=arm, **tidy_values(asdict(found)))

    def flips(self, contrast: ContrastReport, stratum: str | None) -> Iterator[SecondScorer]:
        """Yield, for every other scorer, how many of an endpoint's flips it confirms."""
        if not self.others:
            return
        arms = contrast.reference, contrast.candidate
        rows = self.rows[self.first]
        own = [key for key in rows if stratum is None or self.strata.get(key[1]) == stratum]
        sides = [{key[1:] for key in own if key[0] == arm} for arm in arms]
        keys = sorted(sides[0] & sides[1])
        before, after = (self._outcomes(self.first, arm, keys) for arm in arms)
        for other in self.others:
            then, now = (self._outcomes(other, arm, keys) for arm in arms)
            unlike = np.flatnonzero((before != after) & (np.sign(now - then) != np.sign(after - before)))
            invalid = [sum(self.rows[other][arm, *key].invalid for key in keys) for arm in arms]
            yield SecondScorer(
                scorer=other,
                **asdict(confirmed_flips(before, after, then, now)),
                unconfirmed_items=tuple(sorted({keys[index][0] for index in unlike})[:LISTED_ITEMS]),
                reference_rate=_mean(then),
                candidate_rate=_mean(now),
                invalid=Invalid(reference=invalid[0], candidate=invalid[1]),
            )

    def _outcomes(self, label: str, arm: str, keys: Iterable[tuple[str, int]]) -> NDArray[np.float64]:
        # A score in [0, 1] has changed its mind where it crosses the middle.
        return np.array([self.rows[label][arm, *key].value >= 0.5 for key in keys], dtype=np.float64)


def _mean(values: NDArray[np.float64]) -> float | None:
    return tidy(float(values.mean())) if len(values) else None


def _read(path: Path, battery: str) -> dict[str, Rows]:
    """Return the rows of one battery by scorer."""
    found: dict[str, Rows] = {}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=65536):
            part = batch.filter(pc.equal(batch.column("battery"), pa.scalar(battery)))
            columns = (
                part.column(name).to_pylist()
                for name in ("scorer", "arm", "item_id", "repeat", "value", "invalid", "label")
            )
            for scorer, arm, item, repeat, *row in zip(*columns, strict=True):
                found.setdefault(scorer, {})[arm, item, repeat] = _Row(*row)
    return found


def _contrast(
    contrast: ContrastReport,
    scorers: Mapping[str, Sequence[ScorerBase]],
    opinions: Mapping[str, _Opinions],
    alpha: float,
) -> ContrastReport:
    endpoints = []
    for endpoint in contrast.endpoints:
        added: dict[str, object] = {}
        of_battery = opinions.get(endpoint.battery)
        if of_battery is not None:
            added |= written_list(list(of_battery.flips(contrast, endpoint.stratum)))
        if (corrected := _corrected(endpoint, scorers[endpoint.battery][0], alpha)) is not None:
            added |= written(corrected)
        endpoints.append(endpoint.model_copy(update={"details": {**endpoint.details, **added}}))
    return contrast.model_copy(update={"endpoints": tuple(endpoints)})


def _difference_interval(endpoint: EndpointReport, confidence: float) -> tuple[float, float]:
    """Interval of the difference of rates, also where the test is one of their ratio."""
    tost, table = endpoint.tost, endpoint.table
    assert tost is not None
    if tost.scale == "difference" or table is None:
        return tost.ci
    # Repeats of an item are one cluster: the table of that many independent answers.
    part = endpoint.clusters / endpoint.n
    counts = (table.both, table.reference_only, table.candidate_only, table.neither)
    return as_interval(tango_interval(PairedTable(*(part * x for x in counts)), confidence))


def _corrected(endpoint: EndpointReport, scorer: ScorerBase, alpha: float) -> JudgeError | None:
    """Correct the rates of a binary endpoint for what its judge is stated to get wrong."""
    rates = endpoint.reference_rate, endpoint.candidate_rate
    if not isinstance(scorer, Judge) or scorer.accuracy is None or endpoint.kind != "binary":
        return None
    if endpoint.difference is None or endpoint.tost is None or None in rates:
        return None
    confidence, n = 1 - 2 * alpha, endpoint.clusters
    # Repeats of an item are one cluster, and as many independent answers there are.
    sides = [rogan_gladen(round((rate or 0.0) * n), n, *scorer.accuracy, confidence) for rate in rates]
    ci = _difference_interval(endpoint, confidence)
    difference = corrected_difference(endpoint.difference, ci, *scorer.accuracy, confidence)
    reference, candidate, changed = (
        Estimate(estimate=tidy(rate.estimate), ci=(tidy(rate.low), tidy(rate.high)))
        for rate in (*sides, difference)
    )
    return JudgeError(
        method="rogan_gladen",
        confidence=tidy(confidence),
        sensitivity=scorer.accuracy[0],
        specificity=scorer.accuracy[1],
        reference=reference,
        candidate=candidate,
        difference=changed,
    )
