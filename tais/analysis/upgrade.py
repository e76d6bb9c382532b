"""What an upgrade changed, and what the other hypothesis would say."""

from __future__ import annotations

from typing import TypedDict

from pydantic import JsonValue

from tais.analysis.analyse import Analysis
from tais.manifest.model import Hypothesis
from tais.rundir.lock_model import Lock
from tais.verdict.details import detail
from tais.verdict.details.endpoint import Flips
from tais.verdict.report import EndpointReport

__all__ = ["Upgrade", "upgrade_of"]


class Changed(TypedDict):
    """Items of a battery that changed one way; None where nobody counted."""

    count: int | None
    items: list[str]


class BatteryChanges(TypedDict):
    """What changed in one battery, or in one stratum of it."""

    battery: str
    stratum: str | None
    scorer: str
    worse: Changed
    better: Changed


class Upgrade(TypedDict):
    """upgrade.json."""

    schema: str
    candidate: JsonValue
    reference: JsonValue
    """The two runs, cited by digest, as `candidate` is."""
    verdicts: dict[str, str]
    """By hypothesis."""
    batteries: list[BatteryChanges]


def upgrade_of(lock: Lock, made: Analysis) -> Upgrade:
    """Return what upgrade.json holds: both verdicts, and the items that changed.

    Parameters
    ----------
    lock
        Of a comparison.
    made
        Its decision, and the evidence: it is the same under either hypothesis.
    """
    hypothesis = lock.rules.hypothesis
    other = next(h for h in Hypothesis if h is not hypothesis)
    contrast, cited = made.report.contrasts[0], _cited(lock)
    verdicts = {
        hypothesis.value: contrast.verdict.value,
        other.value: made.under(other).contrasts[0].verdict.value,
    }
    return {
        "schema": "tais/upgrade/v1",
        "candidate": cited.get("candidate"),
        "reference": cited.get("reference"),
        "verdicts": dict(sorted(verdicts.items())),
        "batteries": [_changes(endpoint) for endpoint in contrast.endpoints],
    }


def _cited(lock: Lock) -> dict[str, JsonValue]:
    """Return the two runs that a comparison cites."""
    cited = lock.manifest.source.get("compare")
    return cited if isinstance(cited, dict) else {}


def _changes(endpoint: EndpointReport) -> BatteryChanges:
    flips = detail(endpoint, Flips) or Flips()
    return {
        "battery": endpoint.battery,
        "stratum": endpoint.stratum,
        "scorer": endpoint.scorer,
        "worse": {"count": flips.safe_to_unsafe, "items": list(flips.safe_to_unsafe_items)},
        "better": {"count": flips.unsafe_to_safe, "items": list(flips.unsafe_to_safe_items)},
    }
