"""What people said about the answers of a run, as a report holds it. It decides nothing."""

from __future__ import annotations

from typing import Literal

from tais.common.models import Frozen

__all__ = ["AdjudicationReport", "FlipsReport", "RaterReport", "RatersReport"]


class RaterReport(Frozen):
    """One person's labels against what the scorers said of the same answers."""

    rater: str
    labels_sha256: str
    """Of the file of labels as it was handed in."""
    labelled: int
    """Answers with a label; the others were left empty."""
    unsure: int
    confusion: dict[str, dict[str, int]]
    """Answers by the scorer's outcome, then by the person's label."""
    n: int
    """Answers that the person decided: what the shares below are of."""
    observed: float | None
    """Share on which person and scorer agree; None for n = 0."""
    kappa: float | None
    """Cohen's kappa; None where one of the two gives one and the same outcome throughout."""
    kappa_standard_error: float | None


class RatersReport(Frozen):
    """Two people against each other."""

    first: str
    second: str
    n: int
    """Answers that both decided."""
    observed: float | None
    kappa: float | None
    kappa_standard_error: float | None


class FlipsReport(Frozen):
    """Items of one endpoint that went one way, and how many of them people see going that way."""

    reference: str
    candidate: str
    battery: str
    stratum: str | None = None
    """As of the endpoint."""
    scorer: str
    direction: Literal["worse", "better", "same"]
    """By the scorer; `same` are the controls."""
    items: int
    """Pairs of answers asked about."""
    decided: int
    """Pairs of which people decided both answers, by majority where several were asked."""
    confirmed: int
    """Pairs of which people call both answers what the scorer called them."""
    clusters: int
    """Of the decided pairs: repeats of an item, and items of a cluster, count once in share and interval."""
    share: float | None
    """Confirmed, of the decided; None where nothing was decided."""
    wilson: tuple[float, float] | None
    """95 % interval of `share`."""


class AdjudicationReport(Frozen):
    """What people said, asked blind."""

    file_sha256: str
    """Of adjudication.json, which holds every label and all that is needed to count them again."""
    source_run: str
    source_report_sha256: str
    answers: int
    raters: tuple[RaterReport, ...]
    between: tuple[RatersReport, ...] = ()
    flips: tuple[FlipsReport, ...] = ()
