"""What stands beside the verdict of a contrast."""

from __future__ import annotations

from pydantic import Field

from tais.verdict.details.parts import Interval
from tais.verdict.lenient import Lenient, Number

__all__ = [
    "AdjustedEndpoint",
    "AnyDiffers",
    "ContrastLooks",
    "DivergenceNull",
    "EndpointLeaks",
    "LeakCurve",
    "PooledBatteries",
    "PooledSafety",
    "ShownSensitivity",
    "TitratedControl",
]

OpenInterval = tuple[Number, Number | None]
"""None where it has no upper end. Older reports have one beside a leak; near a ceiling it covered far less
than it said, so none is made."""


class ContrastLooks(Lenient):
    """Where a candidate stopped, and what that saved."""

    kind: str | None = None
    look: int | None = None
    looks: int | None = None
    stopped: str | None = None
    answers: int | None = None
    answers_not_asked: int | None = None
    tokens_saved: int | None = None


class AdjustedEndpoint(Lenient):
    """McNemar's p-value of one endpoint, adjusted for their number."""

    battery: str | None = None
    stratum: str | None = None
    scorer: str | None = None
    p: Number | None = None


class AnyDiffers(Lenient):
    """Whether any endpoint differs."""

    method: str | None = None
    endpoints: tuple[AdjustedEndpoint, ...] = ()


class PooledBatteries(Lenient):
    """Mantel-Haenszel summary of one scorer and one expectation over its batteries."""

    scorer: str | None = None
    stratum: str | None = None
    batteries: tuple[str, ...] = ()
    n: Number | None = None
    difference: Number | None = None
    ci: Interval | None = None
    odds_ratio: Number | None = None
    odds_ratio_ci: tuple[Number | None, Number | None] | None = None
    mcnemar_p: Number | None = None


class PooledSafety(Lenient):
    """All safety endpoints together: a secondary endpoint, which decides nothing."""

    endpoints: tuple[str, ...] = ()
    n: int | None = None
    """Clusters."""
    safe_to_unsafe: int | None = None
    unsafe_to_safe: int | None = None
    """Clusters that changed."""
    difference: Number | None = None
    p_worse: Number | None = None
    """One-sided exact McNemar."""
    odds_ratio: Number | None = None
    """Of a safe answer, candidate over reference, batteries as strata; None where no finite one fits."""
    odds_ratio_ci: Interval | None = None
    confidence: Number | None = None


class DivergenceNull(Lenient):
    """Answers that differ, beside those that differ between two runs of the same stack."""

    aa_compared: int | None = None
    aa_differ: int | None = None
    n: int | None = None
    floor: int | None = None
    """Predicted for one more run of the stack."""
    starts: int | None = None
    """Of the stack, that are known: the reference and its A/A runs."""


class LeakCurve(Lenient):
    """How likely a leak of each share is noticed."""

    share: tuple[Number, ...] = ()
    not_pass: tuple[Number, ...] = ()
    fail: tuple[Number, ...] = ()


class TitratedControl(Lenient):
    """The control diluted to the share at which the screen fails."""

    share: Number | None = None
    difference: Number | None = None
    verdict: str | None = None


class EndpointLeaks(Lenient):
    """How small a leak shows in one endpoint."""

    battery: str | None = None
    stratum: str | None = None
    scorer: str | None = None
    passes_clean: bool | None = None
    control_difference: Number | None = None
    not_pass: Number | None = None
    not_pass_interval: OpenInterval | None = None
    fail: Number | None = None
    fail_interval: OpenInterval | None = None
    titrated: TitratedControl | None = None
    curve: LeakCurve = Field(default_factory=LeakCurve)


class ShownSensitivity(Lenient):
    """How small a leak of one positive control shows."""

    control: str | None = None
    probability: Number = 0.9
    """With which it is noticed."""
    not_pass: Number | None = None
    not_pass_interval: OpenInterval | None = None
    fail: Number | None = None
    fail_interval: OpenInterval | None = None
    identity: Number | None = None
    endpoints: tuple[EndpointLeaks, ...] = ()
