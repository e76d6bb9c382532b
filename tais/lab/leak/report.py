"""What a leak audit found: frozen numbers, and nothing of the prompts unless asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tais.lab.leak.attack import Recovery
from tais.lab.leak.prompts import Prompt
from tais.lab.leak.threshold import Threshold
from tais.stats.proportions import Interval, as_interval, wilson

__all__ = ["SCHEMA", "Cell", "Cost", "LeakReport", "Margins", "Rate", "Shard", "Utility", "as_json", "score"]

SCHEMA = "tais/leak/v1"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval."""

    count: int
    of: int
    rate: float
    wilson: Interval


@dataclass(frozen=True, slots=True)
class Margins:
    """L1 distances of the best and the second-best token, over the positions that had both."""

    best: float
    """Median distance of the token taken."""
    second: float
    """Median distance of the next one among those tried."""
    smallest: float
    """Smallest gap between the two at any position."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the attack took."""

    tried_mean: float
    """Candidates per token."""
    tried_median: float
    tried_most: int
    vocabulary: int
    seconds: float
    """Of the attack alone, calibration and capture left out."""
    candidates_per_second: float
    peak_memory: int
    """Bytes; of the device's allocator during this cell, on a CPU of the whole process so far."""


@dataclass(frozen=True, slots=True)
class Utility:
    """What is left to a receiver who computes on with the protected states."""

    perplexity: float | None
    """Of the unchanged model's own answers to the prompts."""
    reference_perplexity: float | None
    endpoints: tuple[dict[str, Any], ...] = ()
    """As in the report of a screen, unchanged states as the reference."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer under one defence."""

    layer: int
    permutation: str
    noise: float
    bits: int | None
    noise_over_rms: float | None
    """Noise in units of the root mean square of the states; None for recorded states."""
    threshold: float
    calibration: Threshold | None
    """None where the threshold was given."""
    tokens: Rate | None
    """Tokens read at their place; None where nobody knows the true ones. Errors within a prompt follow from
    each other, so the interval counts prompts, not tokens."""
    prompts: Rate | None
    """Prompts read without an error."""
    unmatched: int
    """Tokens for which nothing tried came below the threshold."""
    margins: Margins | None
    cost: Cost
    utility: Utility | None
    recovered: tuple[str, ...] | None = None
    """What was read, on request."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Cost of the attack on one host of several that share the tokens."""

    host: int
    tokens: int
    log10_candidates: float


@dataclass(frozen=True, slots=True)
class LeakReport:
    """A whole leak run."""

    model: str
    depth: int
    width: int
    vocabulary: int
    dtype: str
    device: str
    source: str
    """Where states came from: ``captured`` here, or the file they were recorded in."""
    prompts: int
    proposal: str
    draft: dict[str, object] | None
    """Capture points of a draft's configuration, where one was named."""
    cells: tuple[Cell, ...]
    shards: tuple[Shard, ...] = ()
    settings: dict[str, object] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    schema: str = SCHEMA


def as_json(report: LeakReport) -> dict[str, object]:
    """Return the report as JSON values, schema first."""
    values = dataclasses.asdict(report)
    return {"schema": values.pop("schema"), **values}


def score(found: Sequence[Recovery], prompts: Sequence[Prompt | None]) -> tuple[Rate, Rate] | None:
    """Return the rates of tokens and of whole prompts that were read.

    Parameters
    ----------
    found, prompts
        Aligned.

    Returns
    -------
    Rate, Rate
        None where no prompt is known.

    Notes
    -----
    The interval of the token rate takes prompts as the units: the rate's interval for as many draws as there
    are prompts. Tokens of one prompt are anything but independent, and an interval over them would be too
    narrow.
    """
    tokens = right = exact = known = 0
    for recovery, prompt in zip(found, prompts, strict=True):
        if prompt is None:
            continue
        own, read = prompt.tokens[prompt.counted], recovery.tokens[prompt.counted]
        hits = sum(a == b for a, b in zip(own, read, strict=True))
        known, tokens, right, exact = known + 1, tokens + len(own), right + hits, exact + (hits == len(own))
    if not known:
        return None
    share = right / tokens
    by_token = Rate(right, tokens, share, as_interval(wilson(share * known, known)))
    return by_token, Rate(exact, known, exact / known, as_interval(wilson(exact, known)))


def margins(found: Sequence[Recovery]) -> Margins | None:
    """Return the distances of best and second-best tokens; None where no position had two."""
    both = [(m.distance, m.second) for r in found for m in r.matches if m.second is not None]
    pairs = [(a, b) for a, b in both if b < float("inf")]
    if not pairs:
        return None
    gaps = [b - a for a, b in pairs]
    return Margins(median(a for a, _ in pairs), median(b for _, b in pairs), min(gaps))


def cost(found: Sequence[Recovery], vocabulary: int, seconds: float, memory: int) -> Cost:
    """Return what it took to read prompts."""
    tried = [m.tried for r in found for m in r.matches]
    total = sum(tried)
    return Cost(
        tried_mean=total / max(len(tried), 1),
        tried_median=float(median(tried)) if tried else 0.0,
        tried_most=max(tried, default=0),
        vocabulary=vocabulary,
        seconds=seconds,
        candidates_per_second=total / seconds if seconds > 0 else 0.0,
        peak_memory=memory,
    )
