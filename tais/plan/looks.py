"""Early stop, planned: looks per battery, fixed in the lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tais.errors import ManifestError, Place
from tais.manifest.model import Hypothesis, Manifest, Role
from tais.rundir.lock_model import BatteryLooks, Lock, LookSchedule
from tais.rundir.looks import LookPlan, planned_counts
from tais.scorers import ScorerBase
from tais.scorers.judges import Judge
from tais.stats.sequential import Boundary

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["may_look", "plan_looks", "screened_endpoints", "stop_without_flips"]


def may_look(scorer: ScorerBase) -> bool:
    """Return whether outcomes are known before the end: binary ones that no judge must be asked for."""
    return scorer.kind == "binary" and not isinstance(scorer, Judge)


def plan_looks(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> LookSchedule | None:
    """Return the early stop as the lock fixes it; None where no arm may stop early.

    Raises
    ------
    ManifestError
        Where no battery can be looked at before the end.
    """
    rules = manifest.rules.sequential
    arms = [name for name in manifest.arms if manifest.stops_early(name)]
    if rules is None or not arms:
        return None
    if not any(may_look(battery.scorer) for battery in batteries):
        raise ManifestError(
            "no battery can be looked at before the end: scores in [0, 1] and answers that a judge reads "
            "have no boundary",
            place=Place(key="rules.sequential"),
            remedy="Leave out sequential, or add a battery with a binary scorer of its own",
        )
    return LookSchedule(
        kind=rules.kind,
        looks=rules.looks,
        arms=tuple(arms),
        batteries={battery.name: _looks_at(battery, rules.looks) for battery in batteries},
        endpoints=screened_endpoints(manifest, batteries) or None,
    )


def screened_endpoints(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> int:
    """Return how many endpoints all screened contrasts have together: the strata of every battery."""
    screened = sum(c.role is Role.screen and manifest.audit_of(c) != "only" for c in manifest.contrasts)
    return screened * sum(len(battery.strata) for battery in batteries)


def _looks_at(battery: LoadedBattery, looks: int) -> BatteryLooks:
    counts = {
        stratum: planned_counts(len({item.cluster for item in items}), looks)
        for stratum, items in battery.strata.items()
    }
    strata = {stratum: own for stratum, own in counts.items() if stratum is not None}
    total = tuple(map(sum, zip(*counts.values(), strict=True)))
    early = may_look(battery.scorer)
    # A key that only some locks have: the others stay as they were before.
    return BatteryLooks(clusters=total, early=early, **({"strata": strata} if strata else {}))


def stop_without_flips(lock: Lock) -> int | None:
    """Return the look after which a candidate without a flip stops; None where it answers everything.

    Without flips Cohen's h is 0 and delays nothing, unless the A/A contrasts make its cutoff unusable.
    """
    plan, rules = LookPlan.of(lock), lock.rules
    if plan is None or not all(plan.early.values()):
        return None
    reached = []
    margins = {battery.name: battery.margin or rules.margin for battery in lock.batteries}
    for (battery, _), counts in plan.clusters.items():
        boundary = Boundary(
            margins[battery],
            tuple(sorted({n for n in counts if n})),
            rules.alpha,
            plan.kind,
            one_sided=rules.hypothesis is Hypothesis.non_inferiority,
        )
        passed = (n for n in boundary.looks if boundary.passes_without_flips(n))
        reached.append(counts.index(next(passed, counts[-1])) + 1)
    return look if (look := max(reached)) < plan.looks else None
