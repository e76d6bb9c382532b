"""From labels to what a report says of them. Pure: no file, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from tais.adjudication.cases import Case, Shown
from tais.adjudication.labels import LABELS, LabelFile
from tais.stats.agreement import Agreement, agreement
from tais.stats.proportions import as_interval, wilson
from tais.verdict.adjudication import FlipsReport, RaterReport, RatersReport

__all__ = ["count_flips", "count_raters", "count_raters_between", "panel"]

_EXPECTED, _NOT, _UNSURE = LABELS
_WORDS = {True: _EXPECTED, False: _NOT}


def count_raters(shown: Shown, files: Sequence[LabelFile]) -> Iterator[RaterReport]:
    """Hold each person's labels against the scorers'.

    An answer counts once, however many contrasts it is part of. Where the scorer gave one text two
    outcomes (an answer cut off in one arm), it counts once with each.
    """
    scored = dict.fromkeys(
        pair for case in shown.cases for pair in zip(case.rows, case.expected, strict=True)
    )
    for number, file in enumerate(files, start=1):
        said = [(_WORDS[outcome], file.labels[row]) for row, outcome in scored if row in file.labels]
        found = _agreement([pair for pair in said if pair[1] != _UNSURE])
        counts = Counter(said)
        yield RaterReport(
            rater=_name(number),
            labels_sha256=file.sha256,
            labelled=len(file.labels),
            unsure=sum(label == _UNSURE for label in file.labels.values()),
            confusion={a: {b: counts[a, b] for b in LABELS} for a in (_EXPECTED, _NOT)},
            n=found.n if found else 0,
            observed=found.observed if found else None,
            kappa=found.kappa if found else None,
            kappa_standard_error=found.standard_error if found else None,
        )


def count_raters_between(files: Sequence[LabelFile]) -> Iterator[RatersReport]:
    """Hold each person's labels against each other's, on the answers that both decided."""
    for (i, first), (j, second) in combinations(enumerate(files, start=1), 2):
        both = [(first.labels[row], second.labels[row]) for row in first.labels if row in second.labels]
        found = _agreement([pair for pair in both if _UNSURE not in pair])
        yield RatersReport(
            first=_name(i),
            second=_name(j),
            n=found.n if found else 0,
            observed=found.observed if found else None,
            kappa=found.kappa if found else None,
            kappa_standard_error=found.standard_error if found else None,
        )


def panel(files: Iterable[LabelFile]) -> dict[str, bool]:
    """Return what the majority says of each answer; a tie, or nobody sure, decides nothing."""
    votes: defaultdict[str, int] = defaultdict(int)
    for file in files:
        for row, label in file.labels.items():
            votes[row] += (label == _EXPECTED) - (label == _NOT)
    return {row: vote > 0 for row, vote in votes.items() if vote}


def count_flips(shown: Shown, said: Mapping[str, bool]) -> Iterator[FlipsReport]:
    """Count, per contrast, endpoint and direction, what people confirm.

    Parameters
    ----------
    shown
        The cases asked about.
    said
        By row, whether people call the answer expected; see :func:`panel`.

    Notes
    -----
    A case, flip or control, is confirmed where people call each of the two answers what the scorer called
    it. The cases of a cluster are averaged first, so that repeats of one item do not narrow the interval
    (Wilson).
    """
    groups: defaultdict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in shown.cases:
        groups[case.reference, case.candidate, case.key.battery, case.scorer, case.direction].append(case)
    order = ("worse", "better", "same")
    for names, cases in sorted(groups.items(), key=lambda group: (group[0][:4], order.index(group[0][4]))):
        clusters: defaultdict[str, list[bool]] = defaultdict(list)
        for case in cases:
            if all(row in said for row in case.rows):
                clusters[case.cluster].append(tuple(said[row] for row in case.rows) == case.expected)
        yield _flips(names, len(cases), list(clusters.values()))


def _flips(names: tuple[str, ...], items: int, clusters: list[list[bool]]) -> FlipsReport:
    reference, candidate, battery, scorer, direction = names
    n = len(clusters)
    successes = sum(sum(cluster) / len(cluster) for cluster in clusters)
    return FlipsReport(
        reference=reference,
        candidate=candidate,
        battery=battery,
        scorer=scorer,
        direction=direction,
        items=items,
        decided=sum(map(len, clusters)),
        confirmed=sum(map(sum, clusters)),
        clusters=n,
        share=successes / n if n else None,
        wilson=as_interval(wilson(successes, n)) if n else None,
    )


def _agreement(pairs: Sequence[tuple[str, str]]) -> Agreement | None:
    return agreement([a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def _name(number: int) -> str:
    # Numbers, not the names of files: who labelled is nobody's business in a report that travels.
    return f"rater {number}"
