"""What people said, in words and tables, for every view of a report."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import one_line
from tais.records import stratum_label
from tais.report.wording import NONE, percent
from tais.verdict.adjudication import AdjudicationReport, FlipsReport, RaterReport

__all__ = ["FLIP_COLUMNS", "RATER_COLUMNS", "flip_rows", "intro", "rater_rows"]

FLIP_COLUMNS = (
    "contrast",
    "endpoint",
    "by the scorer",
    "asked",
    "decided",
    "confirmed",
    "share",
    "95 % interval",
)
RATER_COLUMNS = ("agreement", "answers", "agree", "kappa", "standard error", "unsure")

_DIRECTIONS = {
    "worse": "flipped for the worse",
    "better": "flipped for the better",
    "same": "no flip (control)",
}


def intro(found: AdjudicationReport) -> list[str]:
    """Return what a reader must know before the figures."""
    people = "1 person" if len(found.raters) == 1 else f"{len(found.raters)} people"
    return [
        f"{people} labelled answers, from a sheet of {found.answers:,} that does not tell their arm. This "
        "informs: the verdict is that of the scorers, and no label changes it.",
        f"The answers are of the run {one_line(found.source_run, 60)}. A flip is confirmed where people call "
        "both answers what the scorer called them.",
        "The answers were not drawn at random but chosen for their flips, with controls where those are "
        "listed: the agreement below is not that on answers at large.",
    ]


def flip_rows(found: AdjudicationReport) -> list[list[str]]:
    """Return a row per contrast, endpoint and direction; names are foreign text on one line."""
    return [_flip_row(flips) for flips in found.flips]


def _flip_row(flips: FlipsReport) -> list[str]:
    low_high = NONE
    if flips.wilson is not None:
        low_high = f"{percent(flips.wilson[0])} to {percent(flips.wilson[1])}"
    return [
        one_line(f"{flips.candidate} against {flips.reference}"),
        one_line(f"{stratum_label(flips.battery, flips.stratum)}/{flips.scorer}"),
        _DIRECTIONS[flips.direction],
        f"{flips.items:,}",
        f"{flips.decided:,}",
        f"{flips.confirmed:,}",
        percent(flips.share),
        low_high,
    ]


def rater_rows(found: AdjudicationReport) -> list[list[str]]:
    """Return a row per person against the scorers, and per pair of people."""
    return [*_rater_rows(found.raters), *_pair_rows(found)]


def _rater_rows(raters: tuple[RaterReport, ...]) -> Iterator[list[str]]:
    for rater in raters:
        numbers = _agreement(rater.observed, rater.kappa, rater.kappa_standard_error)
        yield [f"{rater.rater} with the scorers", f"{rater.n:,}", *numbers, f"{rater.unsure:,}"]


def _pair_rows(found: AdjudicationReport) -> Iterator[list[str]]:
    for pair in found.between:
        numbers = _agreement(pair.observed, pair.kappa, pair.kappa_standard_error)
        yield [f"{pair.first} with {pair.second}", f"{pair.n:,}", *numbers, NONE]


def _agreement(observed: float | None, kappa: float | None, error: float | None) -> list[str]:
    return [percent(observed), *(NONE if value is None else f"{value:.3f}" for value in (kappa, error))]
