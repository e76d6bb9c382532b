"""The requirements of a gate on batteries: which, with what content, how many prompts, by which margin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from tais.attest.verify import VerifiedRun
from tais.gate.objection import Objection, arms_of, screened
from tais.gate.policy import Policy
from tais.rundir.lock_model import plain
from tais.verdict.details import detail
from tais.verdict.details.audit import Audit, AuditedBattery
from tais.verdict.report import ContrastReport, EndpointReport

__all__ = ["batteries", "margins"]


def batteries(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask for each required battery, with its content and n, in each screen contrast."""
    locked = {battery.name: battery for battery in run.lock.batteries}
    for name, rule in policy.batteries.items():
        battery = name.partition("/")[0]
        if battery not in locked:
            yield Objection("battery_missing", f"the battery {name!r} is required and was not asked")
            continue
        found = str(locked[battery].content_digest)
        if rule.digest is not None and found != rule.digest:
            message = f"the battery {name!r} has the content {found[:16]}, pinned is {rule.digest[:16]}"
            yield Objection("battery_differs", message)
        if rule.items_digest is not None and locked[battery].digest != rule.items_digest:
            said = f"{locked[battery].digest[:16]}, asked for are {rule.items_digest[:16]}"
            yield Objection("items_differ", f"the items of {name!r} are {said}")
        if rule.scorer is not None and plain(locked[battery].scorer) != rule.scorer:
            yield Objection("scorer_differs", f"{name!r} was scored by {plain(locked[battery].scorer)!r}")
        for contrast in screened(run.report):
            yield from _battery_in(contrast, name, policy)


def _battery_in(contrast: ContrastReport, name: str, policy: Policy) -> Iterator[Objection]:
    """Ask each stratum of a battery for what its own rule says, else the rule of the battery."""
    rule = policy.batteries[name]
    endpoints = [e for e in contrast.endpoints if name in (e.battery, e.key.label)]
    audited = [battery for battery in _audited(contrast) if battery.battery == name]
    for battery in audited:
        yield from _n(contrast, name, battery.items, rule.min_n)
        if rule.max_margin is not None:
            yield from _audited_margin(contrast, battery, rule.max_margin)
    if not endpoints and not audited:
        yield Objection("battery_missing", f"{arms_of(contrast)} has no endpoint on {name!r}")
    for endpoint in endpoints:
        label = endpoint.key.label
        # What a stratum's own rule says, it says when its turn comes; the rest is the battery's.
        own = policy.batteries.get(label) if label != name else None
        said = own.model_fields_set if own is not None else frozenset()
        if "min_n" not in said:
            yield from _n(contrast, label, endpoint.clusters, rule.min_n)
        if rule.max_margin is not None and "max_margin" not in said:
            yield from _margin(contrast, endpoint, rule.max_margin)


def _n(contrast: ContrastReport, name: str, n: int, least: int) -> Iterator[Objection]:
    if n < least:
        message = f"{arms_of(contrast)}: {n} prompts of {name!r} were compared, {least} are asked for"
        yield Objection("n_below_policy", message)


def _audited(contrast: ContrastReport) -> Sequence[AuditedBattery]:
    """Return the batteries of which nothing but the audit speaks: their margin is that of its bound."""
    if contrast.evidence == "matched":
        return ()
    found = detail(contrast, Audit)
    return () if found is None else found.batteries


def margins(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse endpoints judged by a wider margin than the policy's."""
    if policy.max_margin is not None:
        for contrast in screened(run.report):
            for endpoint in contrast.endpoints:
                yield from _margin(contrast, endpoint, policy.max_margin)
            audited = _audited(contrast)
            for battery in audited:
                yield from _audited_margin(contrast, battery, policy.max_margin)
            if not contrast.endpoints and not audited:
                yield Objection("margin_unknown", f"{arms_of(contrast)} was not judged by a margin")


def _audited_margin(contrast: ContrastReport, battery: AuditedBattery, limit: float) -> Iterator[Objection]:
    where = f"{arms_of(contrast)}: {battery.battery} (audited)"
    if battery.margin is None:
        yield Objection("margin_unknown", f"{where} was not judged by a margin")
    elif battery.margin > limit:
        message = f"{where} was judged by the margin {battery.margin:g}, at most {limit:g} is allowed"
        yield Objection("margin_too_wide", message)


def _margin(contrast: ContrastReport, endpoint: EndpointReport, limit: float) -> Iterator[Objection]:
    where = f"{arms_of(contrast)}: {endpoint.key.name}"
    if endpoint.tost is None:
        yield Objection("margin_unknown", f"{where} was not judged by a margin")
    elif endpoint.tost.margin > limit:
        ratio = endpoint.tost.scale == "ratio"
        judged, most = (f"ratio {1 + m:g}" if ratio else f"{m:g}" for m in (endpoint.tost.margin, limit))
        message = f"{where} was judged by the margin {judged}, at most {most} is allowed"
        yield Objection("margin_too_wide", message)
