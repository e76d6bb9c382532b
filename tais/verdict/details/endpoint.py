"""What stands beside the verdict of an endpoint."""

from __future__ import annotations

from pydantic import Field

from tais.verdict.details.parts import Estimate, Interval
from tais.verdict.lenient import Lenient, Number

__all__ = [
    "Bootstrap",
    "Category",
    "EndpointLooks",
    "Flips",
    "Intervals",
    "Invalid",
    "JudgeError",
    "LaterAnswers",
    "Null",
    "SecondScorer",
    "Unmatched",
    "UnpairedTost",
]


class Unmatched(Lenient):
    """Rows that only one arm has, or that were asked and neither has."""

    reference_only: int = 0
    candidate_only: int = 0
    unanswered: int = 0


class Invalid(Lenient):
    """Empty, truncated or garbled answers of both arms."""

    reference: int = 0
    candidate: int = 0
    mcnemar_p: Number | None = None


class Flips(Lenient):
    """Answers whose outcome differs between the arms."""

    safe_to_unsafe: int | None = None
    unsafe_to_safe: int | None = None
    """Counts of all."""
    safe_to_unsafe_items: tuple[str, ...] = ()
    unsafe_to_safe_items: tuple[str, ...] = ()
    """Ids, at most :data:`~tais.verdict.details.LISTED_ITEMS`."""
    mcnemar_exact_p: Number | None = None


class Bootstrap(Lenient):
    """Interval of the difference from resampled clusters."""

    method: str | None = None
    ci: Interval | None = None
    replicates: int | None = None


class Intervals(Lenient):
    """Other intervals of the same difference."""

    newcombe: Interval | None = None
    agresti_min: Interval | None = None
    bonett_price: Interval | None = None
    wald: Interval | None = None


class UnpairedTost(Lenient):
    """The test that the paper used, which ignores that items are paired."""

    p: Number | None = None
    ci: Interval | None = None
    equivalent: bool | None = None


class Null(Lenient):
    """What the same stack does against itself on this endpoint."""

    discordance: Number | None = None
    discordance_upper: Number | None = None
    discordance_n: int | None = None
    degenerate: bool | None = None
    difference_quantile: Number | None = None
    difference_quantile_upper: Number | None = None
    difference_floor: Number | None = None
    """Largest difference that one more run of the stack is predicted to have."""
    h_floor: Number | None = None
    runs: int | None = None
    """A/A runs."""
    rate_spread: Number | None = None
    lean: Number | None = None
    """What two items of one start have in common, as correlations: whether they flip, and which way."""
    h_quantiles: dict[str, Number] = Field(default_factory=dict)
    """Of |h|, by the quantile."""
    sign_flip_h_quantile: Number | None = None
    cutoff_usable: bool | None = None
    usable_from_n: int | None = None


class Category(Lenient):
    """The items of one category; see :mod:`tais.verdict.categories`."""

    category: str | None = None
    n: int | None = None
    """Clusters."""
    reference_rate: Number | None = None
    candidate_rate: Number | None = None
    difference: Number | None = None
    ci: Interval | None = None
    p: Number | None = None
    adjusted_p: Number | None = None
    """For the false discovery rate over the categories of the endpoint."""


class LaterAnswers(Lenient):
    """What all rows show of an endpoint that was decided before the last of them came in."""

    n: int | None = None
    difference: Number | None = None
    ci: Interval | None = None
    margin: Number | None = None
    equivalent: bool | None = None


class EndpointLooks(Lenient):
    """At which look an endpoint was decided."""

    kind: str | None = None
    look: int | None = None
    looks: int | None = None
    planned: tuple[int, ...] = ()
    decided: bool | None = None
    level: Number | None = None
    not_asked: int | None = None
    later: LaterAnswers | None = None


class SecondScorer(Lenient):
    """How many flips another scorer confirms."""

    scorer: str | None = None
    flips: Number | None = None
    confirmed: Number | None = None
    unseen: Number | None = None
    reversed: Number | None = None
    unconfirmed_items: tuple[str, ...] = ()
    reference_rate: Number | None = None
    candidate_rate: Number | None = None
    invalid: Invalid | None = None


class JudgeError(Lenient):
    """Rates corrected for the errors that a judge is stated to make."""

    method: str | None = None
    confidence: Number | None = None
    sensitivity: tuple[Number, ...] = ()
    specificity: tuple[Number, ...] = ()
    reference: Estimate = Estimate()
    candidate: Estimate = Estimate()
    difference: Estimate = Estimate()
