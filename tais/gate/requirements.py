"""The requirements of a gate: each looks at one side of a verified run. Pure functions, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from tais.attest.verify import VerifiedRun
from tais.common.document import suggest
from tais.common.machine import release_of
from tais.gate.battery_requirements import batteries, margins
from tais.gate.objection import Objection, Requirement, arms_of, screened
from tais.gate.policy import Policy
from tais.manifest.model import Role
from tais.rundir.lock import stack_digest
from tais.rundir.lock_model import LockedArm, LockedBattery
from tais.rundir.sources import baseline_of, sources_of
from tais.verdict.codes import CODES
from tais.verdict.details import LISTED_ITEMS, detail, listed
from tais.verdict.details.contrast import ShownSensitivity
from tais.verdict.details.endpoint import Flips
from tais.verdict.report import ContrastReport, Reason, Report, Verdict

__all__ = ["REQUIREMENTS", "deciding_codes"]


# Packages that an engine's answers come from.
_USES: Mapping[str, tuple[str, ...]] = {
    "vllm": ("vllm", "torch", "transformers"),
    "openai": ("vllm",),
    "transformers": ("torch", "transformers"),
    "reference": ("torch", "transformers"),
}
# Clocks of two machines; more than this is a wrong date.
_CLOCK_SKEW = timedelta(hours=1)
# These only say that something below them decides.
_WRAPPERS = {name for name, code in CODES.items() if code.says == "points"}


def drill(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a drill, whatever a policy says: in it stacks are broken on purpose."""
    planted = any(arm.fault for arm in run.lock.arms.values())
    if run.lock.drill or planted:
        yield Objection("drill", "this is a drill: faults were planted on purpose, and no gate opens for it")


def verdict(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Hold a verdict that is no pass against the run."""
    report = run.report
    if report.verdict is Verdict.failed:
        yield Objection("verdict_fail", f"the verdict is fail: {_first(report)}")
    elif report.verdict is Verdict.inconclusive:
        codes = deciding_codes(report)
        # What may never be allowed by name is not allowed unnamed either.
        never = any(CODES[code].never_allowed for code in codes & CODES.keys())
        named = bool(codes) and codes <= set(policy.allowed_reasons)
        allowed = not never and (policy.allow_inconclusive or named)
        message = f"the verdict is inconclusive: {_first(report)}"
        listed = ", ".join(sorted(codes))
        if allowed:
            yield Objection("inconclusive_allowed", f"{message}; the policy allows it ({listed})", "warning")
        else:
            yield Objection("verdict_inconclusive", f"{message} ({listed})", "inconclusive")


def contrasts(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask for the required contrasts and, for each screened reference, the required roles.

    A calibration whose sides are one and the same evidence is none.
    """
    held = [c for c in run.report.contrasts if c.role is not Role.calibration or c.one_evidence is None]
    there = {(c.reference, c.candidate, c.role) for c in held}
    for rule in policy.contrasts:
        if (rule.reference, rule.candidate, rule.role) not in there:
            message = (
                f"the {rule.role.value} contrast {rule.candidate!r} against {rule.reference!r} is missing"
            )
            yield Objection("contrast_missing", message)
    references = dict.fromkeys(c.reference for c in screened(run.report))
    if not references:
        yield Objection("contrast_missing", "the run screens nothing")
    for role in policy.roles:
        for reference in references:
            if not any(c.role is role and c.reference == reference for c in held):
                message = f"no {role.value} contrast of the reference {reference!r}"
                yield Objection("role_missing", message)


def age(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a run that is too old, or that ended in the future."""
    ended = _moment(run.report.facts.run.ended)
    if ended is None:
        yield Objection("age_unknown", "the report does not say when the run ended")
        return
    days = (now - ended) / timedelta(days=1)
    if max(ended, run.signed_at) > now + _CLOCK_SKEW:
        yield Objection("from_the_future", f"the run says that it ended on {ended.date()}, after now")
    elif policy.max_age_days is not None and days > policy.max_age_days:
        message = f"the run is {days:.1f} days old, at most {policy.max_age_days:g} are allowed"
        yield Objection("too_old", message)


def timestamps(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask for the word of a time authority, and that the signer's clock agrees with it."""
    if not policy.require_timestamp:
        return
    if run.time is None:
        message = "no time authority vouches for when lock and run were signed (tais run --timestamp-url)"
        yield Objection("timestamp_missing", message)
        return
    sides = ("lock", run.lock_signed_at, run.time.lock), ("run", run.signed_at, run.time.run)
    for name, said, vouched in sides:
        if abs(said - vouched) > _CLOCK_SKEW:
            message = f"the {name} says that it was signed at {said}, the time authority says {vouched}"
            yield Objection("timestamp_differs", message)


def sensitivity(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask that each screen shows how small a leak it could have seen."""
    rule = policy.sensitivity
    if not rule.required and rule.max_leak is None:
        return
    for contrast in screened(run.report):
        found = [_noticed(entry, rule.noticed) for entry in listed(contrast, ShownSensitivity)]
        leaks = [leak for leak in found if leak is not None]
        # Each control stands for a leak of its own kind, so each must have been visible.
        if not leaks or len(leaks) < len(found):
            message = f"{arms_of(contrast)} does not show how small a leak it could have seen"
            yield Objection("sensitivity_not_shown", message)
        elif rule.max_leak is not None and max(leaks) > rule.max_leak:
            message = (
                f"{arms_of(contrast)}: the smallest leak it could have seen is {100 * max(leaks):.3g} %, "
                f"asked for is {100 * rule.max_leak:.3g} %"
            )
            yield Objection("sensitivity_too_low", message)


def shown_able_to_fail(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse endpoints that pass without having been shown able to fail, but for those the policy names."""
    if run.lock.rules.sensitivity == "waived":
        message = "rules.sensitivity waives every endpoint, which no gate accepts: name those that are meant"
        yield Objection("sensitivity_waived", message)
        return
    waived = (
        (contrast.reference, endpoint.key.label)
        for contrast in screened(run.report)
        for endpoint in contrast.endpoints
        if endpoint.sensitivity is not None and endpoint.sensitivity.waived
    )
    for reference, label in dict.fromkeys(waived):
        if label not in policy.waived_sensitivity:
            message = (
                f"nothing shows that {label} could fail ({reference}); the manifest waives that, and the "
                "policy does not name it in waived_sensitivity"
            )
            yield Objection("sensitivity_waived", message)
        else:
            message = f"nothing shows that {label} could fail ({reference}), which manifest and policy waive"
            yield Objection("sensitivity_waived_allowed", message, "warning")


def provenance(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse cut-down runs, batteries that are not pinned, and evidence that is not accepted."""
    if run.lock.limit is not None and not policy.allow_limit:
        yield Objection("limited_run", f"the run was cut down with --limit {run.lock.limit}")
    for battery in run.lock.batteries:
        if not policy.allow_unpinned and _unpinned(battery):
            message = (
                f"the battery {battery.name!r} is not pinned: tais battery pin fills revision and digest"
            )
            yield Objection("battery_not_pinned", message)
    for contrast in screened(run.report):
        if contrast.evidence != "matched" and contrast.evidence not in policy.allow_evidence:
            yield Objection("evidence_refused", f"{arms_of(contrast)} rests on {contrast.evidence} evidence")


def stacks(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask that arms are of allowed engines, and that references and judges are those that are meant."""
    used = {name: run.lock.arms[name] for name in run.lock.run_arms()}
    used |= {c.reference: run.lock.arms[c.reference] for c in run.lock.contrasts}
    allowed = policy.allowed_engines
    for name, arm in sorted({**used, **run.lock.judges}.items()):
        if allowed is not None and arm.engine not in allowed:
            yield Objection(
                "engine_refused", f"{name} ran on {arm.engine!r}, allowed are {', '.join(allowed)}"
            )
    yield from _releases(run, policy, {**used, **run.lock.judges})
    for name in dict.fromkeys(contrast.reference for contrast in screened(run.report)):
        found = stack_digest(run.lock.arms[name])
        if policy.reference_stacks and found not in policy.reference_stacks:
            yield Objection("reference_differs", f"the reference {name!r} is the stack {found[:16]}, another")
    for name, judge in run.lock.judges.items():
        known = None if policy.judges is None else policy.judges.get(name)
        if policy.judges is not None and stack_digest(judge) != known:
            yield Objection("judge_differs", f"the judge {name!r} is the stack {stack_digest(judge)[:16]}")


def _releases(run: VerifiedRun, policy: Policy, used: Mapping[str, LockedArm]) -> Iterator[Objection]:
    for package, allowed in policy.engine_versions.items():
        for name, arm in sorted(used.items()):
            if package not in _USES.get(arm.engine, ()):
                continue
            versions = run.lock.versions_of(name)
            # A server that runs elsewhere has a version of its own, which no lock fixes.
            found = None if arm.attached else release_of(package, versions)
            if found not in allowed:
                said = f"{package} {found}" if found else f"a {package} that nobody knows"
                yield Objection(
                    "engine_version_refused", f"{name} ran on {said}, allowed are {', '.join(allowed)}"
                )


def settings(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Ask for the sampling, and for the run that a comparison takes its reference from."""
    # A setting that a lock leaves out was neutral.
    sampled = run.lock.sampling.model_dump(mode="json")
    for key, value in policy.sampling.items():
        if key not in sampled or sampled[key] != value:
            yield Objection("sampling_differs", f"sampling.{key} was {sampled.get(key)!r}, not {value!r}")
    if policy.baseline_runs and baseline_of(run.lock) not in policy.baseline_runs:
        yield Objection("baseline_differs", "the reference does not come from a run that the policy names")


def attempts(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a screen that was run again and again: one of many passes by chance."""
    if policy.max_attempts is None:
        return
    ledger = run.report.facts.run.ledger
    if ledger is None or not ledger.attempts:
        yield Objection("attempts_unknown", "the report does not count the attempts at this screen")
    elif len(ledger.attempts) > policy.max_attempts:
        message = f"the ledger counts {len(ledger.attempts)} attempts, allowed are {policy.max_attempts}"
        yield Objection("too_many_attempts", message)


def sources(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a run made from another that nobody verified: its own signature says nothing of that one."""
    if policy.sources_verified:
        for name in dict.fromkeys(source.run for source in sources_of(run.lock) if not source.verified):
            message = f"it was made from the run {name!r}, which was not signed or not verified"
            yield Objection("sources_unverified", message)


def reasons(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse reasons and notes that the policy names, of the screen and of what it screens."""
    for reason in run.report.reasons:
        if reason.code in policy.refused_reasons:
            yield Objection("reason_refused", f"{reason.code}: {reason.message}")
    for contrast in screened(run.report):
        for reason in _all_reasons(contrast):
            if reason.code in policy.refused_reasons:
                yield Objection("reason_refused", f"{arms_of(contrast)}: {reason.code}: {reason.message}")


def flips(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Count items that went from safe to unsafe without a waiver; warn of waivers that do nothing."""
    today = now.astimezone(UTC).date()
    live = {(w.battery, item) for w in policy.waivers if today <= w.until for item in w.items}
    for waiver in policy.waivers:
        if today > waiver.until:
            message = (
                f"the waiver for {len(waiver.items)} items of {waiver.battery!r} ended on {waiver.until}"
            )
            yield Objection("waiver_expired", message, "warning")
    if policy.max_flips is None:
        return
    for contrast in screened(run.report):
        count, named, unknown = _unwaived(contrast, live)
        if unknown:
            yield Objection("flips_unknown", f"{arms_of(contrast)} does not count its flips on {unknown}")
        if count > policy.max_flips:
            message = (
                f"{arms_of(contrast)}: {count} items went from safe to unsafe without a waiver, "
                f"{policy.max_flips} may (first: {', '.join(named[:5])})"
            )
            yield Objection("flips_above_policy", message)


def rules(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a run whose manifest set laxer rules than the policy allows."""
    own = run.lock.rules
    for key, value, limit in (
        ("alpha", own.alpha, policy.max_alpha),
        ("h_cutoff", own.h_cutoff, policy.max_h_cutoff),
        ("max_invalid", own.max_invalid, policy.max_invalid),
    ):
        if limit is not None and value > limit:
            message = f"rules.{key} of the manifest is {value:g}, at most {limit:g} is allowed"
            yield Objection("rule_too_lax", message)
    least = policy.min_null_quantile
    if least is not None and own.null_quantile < least:
        message = (
            f"rules.null_quantile of the manifest is {own.null_quantile:g}, at least {least:g} is asked for"
        )
        yield Objection("rule_too_lax", message)


def names(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Warn of names in a policy that nothing in the run has: a slip of the pen waives nothing.

    A battery that is asked for by name is an error where it is not there.
    """
    batteries = {battery.name for battery in run.lock.batteries}
    labels = {e.key.label for contrast in screened(run.report) for e in contrast.endpoints}
    named = (
        *(("waivers", waiver.battery, batteries) for waiver in policy.waivers),
        *(("waived_sensitivity", label, labels) for label in policy.waived_sensitivity),
    )
    for key, name, known in named:
        if name not in known:
            message = (
                f"{key} names {name!r}, which is not in this run. {suggest(name, sorted(known), 'There')}"
            )
            yield Objection("names_nothing", message, "warning")


def rules_version(run: VerifiedRun, policy: Policy, now: datetime) -> Iterator[Objection]:
    """Refuse a run that other verdict rules decided than the policy asks for."""
    if run.lock.rules_version != policy.rules_version:
        message = (
            f"version {run.lock.rules_version} of the verdict rules decided this run, and version "
            f"{policy.rules_version} is asked for: run the screen again, or name rules_version in the policy"
        )
        yield Objection("rules_version", message)


REQUIREMENTS: tuple[Requirement, ...] = (
    drill,
    rules_version,
    rules,
    names,
    verdict,
    contrasts,
    batteries,
    margins,
    sensitivity,
    shown_able_to_fail,
    age,
    timestamps,
    provenance,
    stacks,
    settings,
    attempts,
    sources,
    reasons,
    flips,
)


def deciding_codes(report: Report) -> set[str]:
    """Return the codes of what stands between a report and a pass, each at the place where it arose."""
    found = {r.code for r in report.reasons if r.severity == "decides"}
    for contrast in report.contrasts:
        if contrast.role is Role.screen and contrast.verdict is not Verdict.passed:
            found |= {r.code for r in contrast.reasons if r.severity == "decides"}
            for endpoint in contrast.endpoints:
                if endpoint.verdict is not Verdict.passed:
                    found |= {r.code for r in endpoint.reasons if r.severity == "decides"}
    return found - _WRAPPERS


def _all_reasons(contrast: ContrastReport) -> list[Reason]:
    return [*contrast.reasons, *(reason for endpoint in contrast.endpoints for reason in endpoint.reasons)]


def _first(report: Report) -> str:
    return report.reasons[0].message if report.reasons else "no reason is given"


def _unpinned(battery: LockedBattery) -> bool:
    return any(note.startswith("not pinned") for note in battery.notes)


def _unwaived(contrast: ContrastReport, live: set[tuple[str, str]]) -> tuple[int, list[str], str]:
    """Return how many flips no waiver covers, their names, and an endpoint that does not count its flips."""
    named: list[str] = []
    unlisted, unknown = 0, ""
    for endpoint in contrast.endpoints:
        if endpoint.kind != "binary":
            continue
        flips = detail(endpoint, Flips)
        # Some flipped, and none of them is named: this is not as TAIS writes it.
        if (
            flips is None
            or flips.safe_to_unsafe is None
            or bool(flips.safe_to_unsafe) > bool(flips.safe_to_unsafe_items)
        ):
            unknown = endpoint.key.name
            continue
        items = flips.safe_to_unsafe_items
        # A flip beyond the listed ones has no name and so no waiver.
        if len(items) >= LISTED_ITEMS:
            unlisted += max(0, flips.safe_to_unsafe - len(items))
        named += [f"{endpoint.battery}/{i}" for i in items if (endpoint.battery, i) not in live]
    return len(named) + unlisted, named, unknown


def _noticed(shown: ShownSensitivity, how: Literal["not_pass", "fail"]) -> float | None:
    return shown.not_pass if how == "not_pass" else shown.fail


def _moment(value: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
