"""Parts that several details have."""

from __future__ import annotations

from tais.verdict.lenient import Lenient, Number

__all__ = ["Estimate", "Interval"]

Interval = tuple[Number, Number]


class Estimate(Lenient):
    """A figure with its interval."""

    estimate: Number | None = None
    ci: Interval | None = None
