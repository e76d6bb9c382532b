"""What each key of a policy protects against, and a policy that asks for all that a run shows."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from tais.attest.verify import VerifiedRun
from tais.gate.policy import Policy
from tais.manifest.model import Role
from tais.rundir.lock import stack_digest
from tais.rundir.lock_model import plain
from tais.rundir.sources import baseline_of

__all__ = ["PROTECTS", "explained", "strict_policy"]

PROTECTS = {
    "schema": "v2 asks for real engines and recomputes unless told otherwise; v1 asks for less",
    "batteries": "a battery that is left out, thinned (min_n), exchanged (digest, items_digest), scored by "
    "another scorer (scorer), or judged by a wide margin (max_margin)",
    "contrasts": "a contrast that is left out",
    "roles": "a screen without calibration or positive control",
    "max_age_days": "old evidence for a stack that moved on",
    "sensitivity": "a screen too small to see a leak",
    "trusted_keys": "a run of a stranger; a key that leaked (revoked) or is past its days",
    "allow_inconclusive": "a screen that decided nothing",
    "allowed_reasons": "an inconclusive screen for another reason than those that you know",
    "refused_reasons": "notes that you do not accept",
    "allow_limit": "a run that was cut down with --limit",
    "allow_unpinned": "a battery that may change on its hub",
    "allow_evidence": "a pass on teacher-forced evidence alone",
    "max_margin": "a margin that the manifest widened, also where a contrast has no endpoint",
    "max_alpha": "an interval that the manifest narrowed by a higher level",
    "max_h_cutoff": "a larger effect size than the paper's 0.1 that counts as none",
    "min_null_quantile": "noise of the same stack that is said to be smaller than it is",
    "max_invalid": "answers that nobody could read, taken for none that changed",
    "max_flips": "answers that turned unsafe within the margin",
    "waivers": "nothing: they let named flips pass until a day",
    "rules_version": "a run that older verdict rules decided",
    "waived_sensitivity": "an endpoint that nothing shows able to fail",
    "engines": "answers that no engine gave: fake arms, and files that anybody can write",
    "engine_versions": "evidence of another release of the engine than the one that is to go out",
    "reference_stacks": "a reference that was weakened, so that a weak candidate equals it",
    "baseline_runs": "a comparison with another baseline",
    "sampling": "few tokens, or another temperature, at which stacks look alike",
    "judges": "a judge that finds everything harmless",
    "max_attempts": "running until it passes",
    "sources_verified": "a run made of others that nobody signed",
    "require_timestamp": "a signer, or a thief of the key, who writes another date",
    "timestamp_ca": "the word of a time authority that anybody can set up",
    "recompute": "a report that its samples do not lead to",
}
"""By key of a policy."""


def explained(policy: Policy, given: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, what the policy says of it (``-`` where it says nothing), and what the key protects against.

    Parameters
    ----------
    policy
        As it was read.
    given
        Keys that its file holds.
    """
    values = policy.model_dump(mode="json", by_alias=True)
    for key, what in PROTECTS.items():
        yield key, str(values[key]) if key in given else "-", what


def strict_policy(run: VerifiedRun) -> dict[str, JsonValue]:
    """Return a policy that this run meets and that asks of every later one what this one shows.

    Parameters
    ----------
    run
        A verified run, whose verdict is the reader's to judge.
    """
    lock, report = run.lock, run.report
    screened = [contrast for contrast in report.contrasts if contrast.role is Role.screen]
    endpoints = [endpoint for contrast in screened for endpoint in contrast.endpoints]
    batteries: dict[str, JsonValue] = {}
    for battery in lock.batteries:
        own = [endpoint for endpoint in endpoints if endpoint.battery == battery.name]
        rule: dict[str, JsonValue] = {"items_digest": battery.digest, "scorer": plain(battery.scorer)}
        if own:
            rule["min_n"] = max(1, min(endpoint.clusters for endpoint in own))
        if battery.content_digest is not None:
            rule["digest"] = battery.content_digest
        batteries[battery.name] = rule
    margins = [endpoint.tost.margin for endpoint in endpoints if endpoint.tost is not None]
    used = {lock.arms[name].engine for name in (*lock.run_arms(), *(c.reference for c in lock.contrasts))}
    used |= {judge.engine for judge in lock.judges.values()}
    references = sorted({stack_digest(lock.arms[contrast.reference]) for contrast in screened})
    baseline = baseline_of(lock)
    return {
        "schema": "tais/policy/v2",
        "batteries": batteries,
        "contrasts": [
            {"reference": c.reference, "candidate": c.candidate, "role": c.role.value} for c in lock.contrasts
        ],
        "engines": list[JsonValue](sorted(used)),
        "reference_stacks": list[JsonValue](references),
        **({"baseline_runs": [baseline]} if baseline is not None else {}),
        "sampling": lock.sampling.model_dump(mode="json"),
        "judges": {name: stack_digest(judge) for name, judge in lock.judges.items()},
        **({"max_margin": max(margins)} if margins else {}),
        "max_attempts": max(1, len(report.facts.run.ledger.attempts) if report.facts.run.ledger else 1),
        "rules_version": lock.rules_version,
        "recompute": True,
        "trusted_keys": [{"pem": run.key.to_pem().decode()}],
    }
