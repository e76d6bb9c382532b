"""The closed vocabulary of the gate: every objection that it raises, what it means and what to do.

``docs/codes.md`` is made from this table, and a test walks the source for codes that are missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

__all__ = ["OBJECTIONS", "ObjectionCode"]


@dataclass(frozen=True, slots=True)
class ObjectionCode:
    """One objection of the gate."""

    shuts: Literal["always", "policy", "warning"]
    """Whether it shuts the gate whatever the policy says, because of the policy, or not at all."""
    key: str
    """Of the policy that asks for it, or that lets it through; empty where there is none."""
    meaning: str
    remedy: str


_Always = partial(ObjectionCode, "always", "")
_Policy = partial(ObjectionCode, "policy")
_Warning = partial(ObjectionCode, "warning")

_AGAIN = "Run the screen again"
_ADD = "Add it to the manifest and run again"

OBJECTIONS: Mapping[str, ObjectionCode] = {
    "verdict_fail": _Always("The verdict is fail.", "Read the report: the stack answers otherwise"),
    "drill": _Always("Faults were planted on purpose in this run.", "Run the stacks as they are served"),
    "from_the_future": _Always("The run ended after now.", "Set the clock that made or that judges the run"),
    "age_unknown": _Always("The report does not say when the run ended.", _AGAIN),
    "manifest_differs": _Always(
        "The run is not one of the manifest that the gate was given.", "Run the screen of this manifest"
    ),
    "not_recomputed": _Policy(
        "recompute", "The samples were not shown to lead to the report.", "Read why in the message"
    ),
    "rules_version": _Policy(
        "rules_version", "Other verdict rules decided the run than the policy asks for.", _AGAIN
    ),
    "verdict_inconclusive": _Policy(
        "allow_inconclusive, allowed_reasons",
        "The verdict is inconclusive, and the policy does not let its reasons pass.",
        "Do what its reasons ask for",
    ),
    "inconclusive_allowed": _Warning(
        "allow_inconclusive, allowed_reasons", "The verdict is inconclusive, which the policy lets pass.", ""
    ),
    "contrast_missing": _Policy("contrasts", "A contrast is not in the run, or none is screened.", _ADD),
    "role_missing": _Policy("roles", "A screened reference has no contrast of a role.", _ADD),
    "battery_missing": _Policy("batteries", "A contrast has no endpoint on a battery or stratum.", _ADD),
    "battery_differs": _Policy("batteries", "A battery has other content than is pinned.", "Pin it anew"),
    "items_differ": _Policy("batteries", "A battery has other items than the policy pins.", "Pin them anew"),
    "scorer_differs": _Policy("batteries", "A battery was scored by another scorer than is pinned.", _AGAIN),
    "engine_refused": _Policy(
        "engines", "An arm ran on an engine that is not allowed.", "Run it on a real one"
    ),
    "engine_version_refused": _Policy(
        "engine_versions",
        "An arm ran on another release than is allowed, or on one that nobody knows.",
        _AGAIN,
    ),
    "reference_differs": _Policy("reference_stacks", "The reference is another stack.", "Screen that one"),
    "judge_differs": _Policy(
        "judges", "A judge is another stack than is pinned.", "Take the judge that is meant"
    ),
    "sampling_differs": _Policy("sampling", "Tokens were drawn by other settings.", _AGAIN),
    "baseline_differs": _Policy(
        "baseline_runs", "The reference is from another run.", "Compare with that one"
    ),
    "attempts_unknown": _Policy("max_attempts", "The report does not count the attempts.", _AGAIN),
    "too_many_attempts": _Policy("max_attempts", "The screen was run more often than is allowed.", "Ask why"),
    "sources_unverified": _Policy(
        "sources_verified",
        "A run that it was made from was not verified.",
        "Sign it, and make this one again",
    ),
    "n_below_policy": _Policy(
        "batteries", "Fewer distinct prompts were compared than are asked for.", "Ask more items"
    ),
    "battery_not_pinned": _Policy(
        "allow_unpinned", "A battery of a hub has no revision or digest.", "tais battery pin fills them in"
    ),
    "margin_too_wide": _Policy(
        "max_margin, batteries", "An endpoint was judged by a wider margin than is allowed.", _AGAIN
    ),
    "margin_unknown": _Policy(
        "max_margin, batteries", "An endpoint was not judged by a margin.", "Read the report: it has no items"
    ),
    "rule_too_lax": _Policy(
        "max_alpha, max_h_cutoff, min_null_quantile, max_invalid",
        "The manifest set a laxer rule than the policy allows.",
        "Run the screen with the rule that is asked for",
    ),
    "sensitivity_not_shown": _Policy(
        "sensitivity",
        "No positive control shows how small a leak a screened contrast could have seen.",
        "Add a positive control of this reference",
    ),
    "sensitivity_too_low": _Policy(
        "sensitivity", "The smallest leak that would have been seen is too large.", "Ask more items"
    ),
    "sensitivity_waived": _Policy(
        "waived_sensitivity",
        "The manifest waives that an endpoint is shown able to fail, and the policy does not.",
        "Add a control that is caught there, or name the endpoint in the policy",
    ),
    "sensitivity_waived_allowed": _Warning(
        "waived_sensitivity", "Manifest and policy waive that an endpoint is shown able to fail.", ""
    ),
    "too_old": _Policy("max_age_days", "The run is older than is allowed.", _AGAIN),
    "limited_run": _Policy("allow_limit", "The run was cut down with --limit.", "Run it whole"),
    "evidence_refused": _Policy(
        "allow_evidence",
        "A screened contrast rests on other evidence than answers.",
        "Let the reference answer",
    ),
    "reason_refused": _Policy(
        "refused_reasons", "The run gives a reason or note that the policy refuses.", "See its code above"
    ),
    "flips_above_policy": _Policy(
        "max_flips, waivers", "More items became unsafe than may.", "Read them; waive those that are known"
    ),
    "flips_unknown": _Policy("max_flips", "An endpoint does not count its flips.", _AGAIN),
    "names_nothing": _Warning(
        "waivers, waived_sensitivity",
        "A waiver names a battery, endpoint or item that the run does not have.",
        "",
    ),
    "waiver_expired": _Warning("waivers", "A waiver has ended and does nothing.", "Take it out, or renew it"),
}
"""By name."""
