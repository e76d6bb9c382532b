"""Numbers as a report holds them: plain, finite, rounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import SupportsFloat

from tais.stats.proportions import Interval

__all__ = ["percent", "points", "tidy", "tidy_interval", "tidy_values"]


def tidy(value: float) -> float:
    """Round to 12 significant digits, so that reports recomputed on another processor are equal."""
    return float(f"{value:.12g}")


def tidy_interval(bounds: tuple[SupportsFloat, SupportsFloat]) -> Interval:
    """Round both bounds."""
    return tidy(float(bounds[0])), tidy(float(bounds[1]))


def tidy_values(values: Mapping[str, object]) -> dict[str, object]:
    """Round the floats among named values."""
    return {key: tidy(x) if isinstance(x, float) else x for key, x in values.items()}


def percent(value: float) -> str:
    """Format a share in percent."""
    return f"{100 * value:.4g} %"


def points(value: float) -> str:
    """Format a share as percentage points."""
    return f"{100 * value:.4g} pp"
