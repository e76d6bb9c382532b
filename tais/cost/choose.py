"""Which rates a plan is priced with: declared, measured now, or measured before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tais.cost.history import known_rates
from tais.cost.rates import RATES, Rates, read_rates, write_rates
from tais.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tais.plan.plan import Plan

__all__ = ["rates_for"]

_STALL_SECONDS = 1800.0


def rates_for(
    plan: Plan, out: Path, declared: Path | None, note: Callable[[str], None] | None, items: int | None
) -> Rates | None:
    """Return rates for a plan; None where nothing is known.

    Parameters
    ----------
    plan
        With its batteries.
    out
        Where run directories go; a calibration is kept there for the run that follows.
    declared
        A file of rates, which goes before all others.
    note
        Takes lines about a calibration; None makes none.
    items
        Items of a calibration per arm; None for what fills a batch once.

    Raises
    ------
    UsageError
        When the file cannot be used, or both it and a calibration are asked for.
    EngineError
        When an arm cannot be calibrated.
    """
    if declared is not None:
        if note is not None:
            raise UsageError("--rates and --calibrate exclude each other", remedy="Give one of them")
        # Whatever the file calls itself: nobody measured these here.
        return read_rates(declared).model_copy(update={"source": "declared"})
    parent = out / plan.manifest.name
    if note is None:
        return known_rates(parent, plan.lock)
    from tais.cost.measure import calibrate
    from tais.plan.plan import require_engines

    require_engines(plan)
    rates = calibrate(plan, items=items, stall_seconds=_STALL_SECONDS, note=note)
    write_rates(parent / RATES, rates)
    return rates
