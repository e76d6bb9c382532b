"""What ``tais plan --json`` prints."""

from __future__ import annotations

from tais.cli.views.plan import endpoint_sizes, warnings
from tais.cost.predict import predict
from tais.cost.rates import Rates
from tais.plan.plan import Plan
from tais.runs.outlook import Outlook
from tais.scorers import scorer_label

__all__ = ["plan_values"]


def plan_values(
    plan: Plan, likely: Outlook | None, rates: Rates | None, workers: int, shards: int
) -> dict[str, object]:
    """Return a plan as one JSON object; what is not known is null."""
    tokens = plan.samples_per_arm * plan.manifest.sampling.max_tokens
    cost = None if rates is None else predict(plan.lock, rates, workers=workers, shards=shards)
    return {
        "schema": "tais/plan/v1",
        "name": plan.manifest.name,
        "arms": list(plan.arms),
        "samples_per_arm": plan.samples_per_arm,
        "tokens_at_most": tokens * len(plan.arms),
        "endpoints": [
            {
                "name": size.name,
                "items": size.items,
                "independent": size.independent,
                "needed_without_flips": size.needed,
                "margin": size.margin,
                "scorer": scorer_label(size.battery.scorer),
                "license": size.battery.definition.license,
            }
            for size in endpoint_sizes(plan)
        ],
        "not_here": [{"name": missing.name, "reason": missing.reason} for missing in plan.missing],
        "contrasts": [
            {
                "reference": contrast.reference,
                "candidate": contrast.candidate,
                "role": contrast.role.value,
                "lossless": contrast.lossless,
                "differs_in": list(contrast.differences),
            }
            for contrast in plan.lock.contrasts
        ],
        "pass_if_equal": None if likely is None else _likely(likely),
        "warnings": warnings(plan),
        "cost": cost,
    }


def _likely(found: Outlook) -> dict[str, object]:
    needed = dict(found.needed)
    return {
        "by_flips": [
            {"flips": rate, "probability": p, "items_needed_for_0.8": needed.get(rate)}
            for rate, p in found.power
        ],
        "smallest_endpoint": found.smallest,
    }
