"""From labels to what a report says of them. Pure: no file, no clock."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from tais.adjudication.cases import Case, Direction, Shown
from tais.adjudication.labels import LABELS, LabelFile
from tais.records import EndpointKey
from tais.stats.agreement import Agreement, agreement
from tais.stats.proportions import as_interval, wilson
from tais.verdict.adjudication import FlipsReport, RaterReport, RatersReport

__all__ = ["count_flips", "count_raters", "count_raters_between", "panel"]

_Names = tuple[str, str, EndpointKey, Direction]
"""Reference, candidate, endpoint and direction of a flip."""

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
    groups: defaultdict[_Names, list[Case]] = defaultdict(list)
    for case in shown.cases:
        endpoint = EndpointKey(case.key.battery, case.stratum, case.scorer)
        groups[case.reference, case.candidate, endpoint, case.direction].append(case)
    for names, cases in sorted(groups.items(), key=lambda group: _order(group[0])):
        clusters: defaultdict[str, list[bool]] = defaultdict(list)
        for case in cases:
            if all(row in said for row in case.rows):
                clusters[case.cluster].append(tuple(said[row] for row in case.rows) == case.expected)
        yield _flips(names, len(cases), list(clusters.values()))


def _order(names: _Names) -> tuple[str, str, str, str, str, int]:
    reference, candidate, (battery, stratum, scorer), direction = names
    return reference, candidate, battery, stratum or "", scorer, ("worse", "better", "same").index(direction)


def _flips(names: _Names, items: int, clusters: list[list[bool]]) -> FlipsReport:
    reference, candidate, endpoint, direction = names
    n = len(clusters)
    successes = sum(sum(cluster) / len(cluster) for cluster in clusters)
    return FlipsReport(
        reference=reference,
        candidate=candidate,
        **endpoint._asdict(),
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
