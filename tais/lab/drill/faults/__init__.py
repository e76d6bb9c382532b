"""A zoo of faults, each a real class of bug, planted in a real engine process where a drill asks for it.

A manifest's arm names one (``fault: {name: accept_all}``) and the manifest says ``drill: true``; otherwise
nothing here is ever imported by a run. ``docs/drill.md`` shows which check catches which.
"""

from __future__ import annotations

from tais.lab.drill.faults.base import CHECKS, Check, Fault, Parameter, Severity
from tais.lab.drill.faults.cache import CrossSequence, ExactLength, KvNotRolledBack, StalePrefixHit
from tais.lab.drill.faults.drafting import DraftPositions, DraftTemperature, StaleDraftState
from tais.lab.drill.faults.output import (
    Detokenisation,
    DroppedLastToken,
    FirstListedStop,
    IdsPastStop,
    StopCut,
)
from tais.lab.drill.faults.stack import DtypeDrift, TemplateDrift
from tais.lab.drill.faults.verification import (
    AcceptAll,
    AcceptSome,
    BonusOffByOne,
    Fly,
    MinTokensMiscounted,
    StaleTemperature,
    Typical,
)

__all__ = ["CHECKS", "FAULTS", "Check", "Fault", "Parameter", "Severity"]

_ZOO: tuple[type[Fault], ...] = (
    AcceptAll,
    AcceptSome,
    Typical,
    Fly,
    BonusOffByOne,
    StaleDraftState,
    DraftPositions,
    KvNotRolledBack,
    CrossSequence,
    DroppedLastToken,
    DraftTemperature,
    DtypeDrift,
    TemplateDrift,
    StopCut,
    FirstListedStop,
    IdsPastStop,
    StaleTemperature,
    MinTokensMiscounted,
    StalePrefixHit,
    ExactLength,
    Detokenisation,
)
FAULTS: dict[str, type[Fault]] = {fault.name: fault for fault in _ZOO}
"""All faults by name."""
