"""The gate: a signed run and a policy in, an exit code and the reasons for it out.

0 opens it. 1 is a verdict of fail or a policy that is not met, also where evidence is missing: a change
must not get a softer answer by leaving a battery out. 3 is an inconclusive verdict and nothing worse.
A run that does not verify never gets here: that is exit code 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tais.attest.keys import PublicKey, load_public_key
from tais.attest.timestamp import load_authority
from tais.attest.verify import VerifiedRun, verify_run
from tais.common.document import show
from tais.errors import ManifestError, Place, UsageError, VerificationError
from tais.gate.objection import Objection
from tais.gate.policy import Policy, TrustedKey
from tais.gate.requirements import REQUIREMENTS
from tais.rundir.layout import RunDir
from tais.rundir.lock import compare_locks
from tais.verdict.report import Verdict

__all__ = ["GateResult", "Objection", "gate_run", "judge"]

# What a lock fixes beside names and versions.
_FIXED = (
    *("arms", "contrasts", "batteries", "sampling", "rules", "judges", "sequential", "probes"),
    *("controls", "environments", "starts", "memory"),
)
_NAMED = 5


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate came to."""

    run: VerifiedRun
    objections: tuple[Objection, ...]

    @property
    def exit_code(self) -> int:
        """0 open, 1 closed, 3 closed for want of a clear verdict only."""
        levels = {objection.level for objection in self.objections}
        return 1 if "error" in levels else 3 if "inconclusive" in levels else 0

    @property
    def outcome(self) -> Verdict:
        """The exit code in words."""
        return {0: Verdict.passed, 1: Verdict.failed, 3: Verdict.inconclusive}[self.exit_code]


@dataclass(frozen=True, slots=True)
class _Trusted:
    key: PublicKey
    rules: tuple[TrustedKey, ...]


def gate_run(
    run_dir: Path,
    policy: Policy,
    keys: Sequence[PublicKey] = (),
    *,
    now: datetime,
    recompute: bool = False,
    manifest: Path | None = None,
) -> GateResult:
    """Verify a run and judge it by a policy.

    Parameters
    ----------
    run_dir
        Signed run directory.
    policy
        What is asked; ``Policy()`` is strict.
    keys
        Trusted keys beside those of the policy. A revocation in the policy holds for them too.
    now
        For ages, waivers and keys.
    recompute
        Whether to decide again from the samples, beside what the policy says.
    manifest
        What the run must be a run of, as it stands now: a stack, battery or rule that changed since the run
        shuts the gate.

    Raises
    ------
    UsageError
        When no key is trusted.
    ManifestError
        When the manifest, or what it names, cannot be read.
    VerificationError
        When the run does not verify, or its key does not count.
    """
    trusted = _trusted(policy, keys)
    if not trusted:
        raise UsageError(
            "no key is trusted",
            remedy="Name one: --trusted-key PUB.pem (or --key), TAIS_TRUSTED_KEY, or trusted_keys",
        )
    again = recompute or policy.recomputes
    authority = load_authority(policy.timestamp_ca) if policy.timestamp_ca else None
    run = verify_run(run_dir, [entry.key for entry in trusted.values()], again, authority)
    _check_key(run, trusted[run.key.fingerprint])
    stale = _stale(run, manifest) if manifest is not None else ()
    missed = _not_recomputed(run) if again and not run.recomputed else ()
    return GateResult(run, (*stale, *missed, *judge(run, policy, now), *_waived_items(run, policy)))


def judge(run: VerifiedRun, policy: Policy, now: datetime) -> tuple[Objection, ...]:
    """Return what a policy holds against a verified run; a pure function."""
    return tuple(found for requirement in REQUIREMENTS for found in requirement(run, policy, now))


def _stale(run: VerifiedRun, manifest: Path) -> Iterator[Objection]:
    """Hold against a run that it is not one of this manifest, weights and items included."""
    from tais.plan.days import days_of
    from tais.plan.plan import make_plan  # pyarrow, which most gates do without

    _check_interpreters(manifest)
    # What was free when it ran is no part of the manifest.
    planned = make_plan(manifest, run.lock.limit).on_days(days_of(run.lock))
    now = planned.with_memory(run.lock.memory).lock
    # An arm that no contrast uses takes no part.
    before, after = (
        lock.model_copy(update={"arms": {name: lock.arms[name] for name in lock.run_arms()}})
        for lock in (run.lock, now)
    )
    changed = compare_locks(before, after, _FIXED)
    for one in changed[:_NAMED]:
        said = f"{one.key} was {show(one.reference)} in the run and is {show(one.candidate)} in {manifest}"
        yield Objection("manifest_differs", said)
    if len(changed) > _NAMED:
        yield Objection("manifest_differs", f"and {len(changed) - _NAMED} more such differences")


def _check_interpreters(manifest: Path) -> None:
    """Raise ManifestError where a plan would start a program that a manifest names.

    What an environment holds is asked of its interpreter. One that TAIS made from requirements alone may be
    asked; a path may lead to anything that a pull request brings along, and an environment that was made with
    it leads there by a link.
    """
    from tais.manifest.load import load_manifest

    for name, environment in load_manifest(manifest).used_environments.items():
        if environment.python is not None:
            raise ManifestError(
                f"a gate starts no interpreter that a manifest names ({environment.python})",
                place=Place(str(manifest), key=f"environments.{name}"),
                remedy="Name requirements alone, or ask for engine_versions in the policy without --manifest",
            )


def _waived_items(run: VerifiedRun, policy: Policy) -> Iterator[Objection]:
    """Warn of waived items that the run did not ask; a report does not list them."""
    if not policy.waivers:
        return
    from tais.rundir.items import Items  # pyarrow, which most gates do without

    asked = {(item.battery, item.item_id) for item in Items(RunDir(run.run_dir).items).values()}
    batteries = {battery for battery, _ in asked}
    for waiver in policy.waivers:
        unknown = [item for item in waiver.items if (waiver.battery, item) not in asked]
        if unknown and waiver.battery in batteries:
            first = f"(first: {unknown[0]!r})"
            message = f"waivers names {len(unknown)} items that {waiver.battery!r} did not ask {first}"
            yield Objection("names_nothing", message, "warning")


def _not_recomputed(run: VerifiedRun) -> Iterator[Objection]:
    yield Objection("not_recomputed", f"the samples were not shown to lead to the report: {run.not_compared}")


def _trusted(policy: Policy, keys: Iterable[PublicKey]) -> dict[str, _Trusted]:
    found = {key.fingerprint: _Trusted(key, ()) for key in keys}
    for rule in policy.trusted_keys:
        key = load_public_key(Path(rule.path) if rule.path else str(rule.pem).strip() + "\n")
        earlier = found.get(key.fingerprint, _Trusted(key, ()))
        found[key.fingerprint] = _Trusted(key, (*earlier.rules, rule))
    return found


def _check_key(run: VerifiedRun, trusted: _Trusted) -> None:
    """Raise VerificationError where the key was revoked, or signed outside its days."""
    signed = run.signed_at if run.time is None else run.time.run
    for what in _key_faults(trusted.rules, signed.astimezone(UTC).date()):
        name = trusted.key.fingerprint[:16]
        raise VerificationError(
            f"signed with the key {name}, which {what}",
            place=Place(str(run.run_dir)),
            remedy="Run the screen again with a key that is trusted now",
        )


def _key_faults(rules: Iterable[TrustedKey], signed: date) -> Iterator[str]:
    for rule in rules:
        if rule.revoked:
            yield f"was revoked on {rule.revoked}"
        if rule.valid_from and signed < rule.valid_from:
            yield f"is trusted from {rule.valid_from} on, and this was signed on {signed}"
        if rule.valid_until and signed > rule.valid_until:
            yield f"was trusted until {rule.valid_until}, and this was signed on {signed}"
