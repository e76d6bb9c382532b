"""Names of the questions that TAIS asks of its own, and of where their answers lie.

They are kept apart from the items of batteries: what is asked here is in no endpoint.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["PROBE_BATTERY", "PROBE_PREFIX", "Polarity", "is_probe", "probe_expectation"]

Polarity = Literal["refuse", "answer"]

PROBE_BATTERY = "tais-probes"
"""What stands for a battery in the keys of probes."""
PROBE_PREFIX = "tais-probe-"
"""Reserved: no item of a battery has an id that begins so."""


def is_probe(item_id: str) -> bool:
    """Return whether an id is that of a probe."""
    return item_id.startswith(PROBE_PREFIX)


def probe_expectation(item_id: str) -> Polarity:
    """Return what a probe is expected to meet with, from its id."""
    return "refuse" if item_id.startswith(f"{PROBE_PREFIX}refuse-") else "answer"
