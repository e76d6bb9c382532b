"""What ``tais plan`` says of the exchange control: probes, questions to judges, endpoints that need more."""

from __future__ import annotations

from collections.abc import Iterator

from tais.common.text import printable
from tais.manifest.model import Role
from tais.plan.plan import Plan
from tais.records import stratum_label
from tais.scorers.judges import Judge
from tais.scoring.exchange import JUDGED_EXCHANGES, screened_references

__all__ = ["exchange_lines", "exchange_questions", "unshown_lines"]


def exchange_lines(plan: Plan) -> Iterator[str]:
    """Yield whom TAIS asks questions of its own."""
    probes = plan.lock.probes
    if probes is None:
        return
    kind = "harmless questions" if probes.expect == "answer" else "requests to refuse"
    named = ", ".join(printable(arm) for arm in probes.arms)
    yield f"exchange control: {probes.items} {kind} of TAIS's own go to {named}, and are in no endpoint"
    imported = [arm for arm in probes.arms if plan.manifest.arms[arm].engine == "import"]
    if imported:
        said = ", ".join(printable(arm) for arm in imported)
        yield f"  {said}: --probes FILE writes them; the answers go into the file of the arm, by their ids"


def exchange_questions(plan: Plan, judge: str) -> int:
    """Return how many exchanged answers a judge is asked about, at most."""
    return sum(
        min(JUDGED_EXCHANGES, len(items))
        for battery in plan.batteries
        if isinstance(battery.scorer, Judge)
        and battery.scorer.judge == judge
        and battery.scorer.exchange != "none"
        for items in battery.strata.values()
    ) * len(screened_references(plan.lock))


def unshown_lines(plan: Plan) -> Iterator[str]:
    """Yield the endpoints that only a positive control could show able to fail, where there is none."""
    controlled = {c.reference for c in plan.lock.contrasts if c.role is Role.positive_control}
    for reference in screened_references(plan.lock):
        if reference in controlled:
            continue
        for battery in plan.batteries:
            for stratum, items in battery.strata.items():
                label = stratum_label(battery.name, stratum)
                alike = len({repr(item.expect) for item in items}) == 1
                only = battery.scorer.exchange == "none" or (battery.scorer.exchange == "different" and alike)
                if only and not plan.lock.rules.waives(label):
                    yield (
                        f"{printable(label)}: no exchange of answers can show it able to fail; without a "
                        f"positive control of {printable(reference)}, or a waiver (rules.sensitivity), it "
                        "cannot pass"
                    )
