"""What stands beside the verdict of a screen."""

from __future__ import annotations

from pydantic import Field

from tais.verdict.details.parts import Interval
from tais.verdict.lenient import Lenient, Number

__all__ = [
    "Agreement",
    "ArmAgreement",
    "Bias",
    "DisagreeingAnswer",
    "Dose",
    "JudgeCalls",
    "StartRate",
    "StartSeen",
    "Starts",
]


class Dose(Lenient):
    """Outcomes of one endpoint fitted on one numeric property of the arms."""

    reference: str | None = None
    property: str | None = None
    battery: str | None = None
    stratum: str | None = None
    scorer: str | None = None
    doses: tuple[Number, ...] = ()
    slope: Number | None = None
    reason: str | None = None
    """Why there is no slope."""
    slope_error: Number | None = None
    slope_ci: Interval | None = None
    p: Number | None = None
    change: Number | None = None
    change_ci: Interval | None = None
    margin: Number | None = None
    equivalent: bool | None = None


class JudgeCalls(Lenient):
    """What a model judge was asked, and what equal answers saved."""

    judge: str | None = None
    model: str | None = None
    engine: str | None = None
    scorers: tuple[str, ...] = ()
    answers: Number | None = None
    asked: Number | None = None
    saved: Number | None = None
    unreadable: dict[str, int] = Field(default_factory=dict)
    """Replies, by arm."""


class DisagreeingAnswer(Lenient):
    """An answer that two scorers see differently."""

    item_id: str | None = None
    repeat: int | None = None
    arm: str | None = None
    first: str | None = None
    second: str | None = None


class ArmAgreement(Lenient):
    """In how many answers of one arm two scorers differ, and in which."""

    arm: str | None = None
    n: Number | None = None
    """Answers of the arm, repeated texts included."""
    disagreements: Number | None = None
    share: Number | None = None
    disagreeing_items: tuple[DisagreeingAnswer, ...] = ()


class Agreement(Lenient):
    """How far the deciding scorer of a battery agrees with another one."""

    battery: str | None = None
    stratum: str | None = None
    first: str | None = None
    second: str | None = None
    n: Number | None = None
    observed: Number | None = None
    kappa: Number | None = None
    standard_error: Number | None = None
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict)
    disagreements: Number | None = None
    disagreeing_items: tuple[DisagreeingAnswer, ...] = ()
    arms: tuple[ArmAgreement, ...] = ()
    """The same by arm: a scorer that errs in one arm alone makes a difference that is none, or hides one."""


class Bias(Lenient):
    """Bias scores of one arm on BBQ."""

    battery: str | None = None
    arm: str | None = None
    ambiguous: Number | None = None
    disambiguated: Number | None = None
    untold: Number | None = None


class StartRate(Lenient):
    """The rate of one endpoint in one start."""

    battery: str | None = None
    stratum: str | None = None
    scorer: str | None = None
    rate: Number | None = None


class StartSeen(Lenient):
    """One start of an arm."""

    arm: str | None = None
    compared: Number | None = None
    """Answers held against those of the first start; None for the first itself."""
    identical: Number | None = None
    verdict: str | None = None
    """The worst of its contrasts; None where it stands in none."""
    rates: tuple[StartRate, ...] = ()


class Starts(Lenient):
    """What the fresh processes of one arm did alike, and how many fail."""

    arm: str | None = None
    """The first start."""
    starts: tuple[StartSeen, ...] = ()
    failed: Number | None = None
    failed_upper: Number | None = None
    """95 % upper bound (exact) of the share of launches that would fail."""
