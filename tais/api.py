"""The functions of the public Python API: each reads its arguments and calls a room.

``tais/__init__.py`` hands them out. What a command does, its function does; what a command prints, a function
returns. Failures are a :class:`tais.TaisError`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tais import attest
from tais.analysis.analyse import recompute
from tais.attest import PublicKey, Signer, VerifiedRun
from tais.frames import RunResult, open_run
from tais.gate.gate import GateResult, gate_run
from tais.gate.policy import Policy, load_policy
from tais.manifest import load
from tais.manifest.model import Hypothesis, Manifest, Rules
from tais.plan import plan as planning
from tais.plan.plan import Plan
from tais.report.renderer import with_renderer
from tais.rundir.lock_model import Lock
from tais.runs import compare
from tais.runs.compare import Comparison, Side
from tais.runs.observer import Observer
from tais.runs.options import RunOptions
from tais.runs.run import run
from tais.verdict import screen
from tais.verdict.evidence import ScreenEvidence
from tais.verdict.report import Report

__all__ = [
    "Arm",
    "Key",
    "analyse_run",
    "check_gate",
    "compare_runs",
    "decide",
    "load_manifest",
    "make_plan",
    "run_screen",
    "verify_run",
]

Key = PublicKey | str | Path
"""A public key, or the PEM file that holds it."""
Arm = Side | tuple[str | Path, str]
"""An arm of a finished run: its run directory and its name."""


def load_manifest(path: str | Path) -> Manifest:
    """Read, resolve and check a manifest; no engine and no data set is touched.

    Parameters
    ----------
    path
        A file, or the name of a manifest that ships with TAIS (``demo``).

    Raises
    ------
    ManifestError
        With file, line, key and remedy.

    Examples
    --------
    >>> manifest = tais.load_manifest("small.yaml")
    >>> list(manifest.arms)
    ['target', 'again', 'candidate', 'bad']
    >>> manifest.rules.margin
    0.06
    """
    return load.load_manifest(path)


def make_plan(manifest: Manifest | str | Path, *, limit: int | None = None) -> Plan:
    """Read a manifest and its batteries, and fix everything that can be fixed without an engine.

    Parameters
    ----------
    manifest
        A loaded one, a file, or the name of a manifest that ships with TAIS.
    limit
        First items of each battery only.

    Returns
    -------
    Plan
        Its `lock` is what a run would write down before the first token.

    Raises
    ------
    ManifestError
        When manifest, batteries or local models cannot be used.

    Examples
    --------
    >>> plan = tais.make_plan(tais.load_manifest("small.yaml"), limit=50)
    >>> plan.arms
    ['target', 'again', 'candidate', 'bad']
    >>> plan.samples_per_arm
    50
    """
    return planning.make_plan(manifest, limit)


def run_screen(
    manifest: Manifest | str | Path,
    *,
    out: str | Path = "reports",
    resume: bool = False,
    limit: int | None = None,
    signer: Signer | str | Path | None = None,
    observer: Observer | None = None,
) -> RunResult:
    """Run the arms of a manifest, score their answers and decide, as ``tais run`` does.

    Parameters
    ----------
    manifest
        A loaded one, a file, or the name of a manifest that ships with TAIS.
    out
        The run directory becomes ``out/<name of the manifest>/<run id>``.
    resume
        Continue the last run of this manifest where it stopped.
    limit
        First items of each battery only.
    signer
        Signs lock and run: a signer, or the file of a private key; None leaves the run unsigned.
    observer
        Told of every step.

    Raises
    ------
    TaisError
        Whatever stops the run; what was stored stays, and `resume` continues from it.

    Examples
    --------
    >>> run = tais.run_screen("small.yaml", out="reports")
    >>> run.report.verdict.value, len(run.samples("candidate"))
    ('pass', 120)
    """
    options = RunOptions(out=Path(out), resume=resume, limit=limit, signer=_signer(signer))
    return open_run(run(manifest, options, observer).run_dir)


def analyse_run(run_dir: str | Path, lock: Lock | None = None) -> Report:
    """Score and decide once more from the stored answers, as ``tais report`` does; no engine is needed.

    Parameters
    ----------
    run_dir
        A run directory; nothing in it changes.
    lock
        Rules and scorers to decide by; None takes those that the run fixed before its first token.

    Raises
    ------
    StoreError
        When this is no run directory, or its samples are damaged.

    Examples
    --------
    >>> tais.analyse_run("reports/small/RUN").verdict.value
    'pass'
    >>> lock = tais.open_run("reports/small/RUN").lock
    >>> rules = lock.rules.model_copy(update={"margin": 0.01})
    >>> tais.analyse_run("reports/small/RUN", lock.model_copy(update={"rules": rules})).verdict.value
    'inconclusive'
    """
    return with_renderer(recompute(Path(run_dir), lock))


def decide(evidence: ScreenEvidence, rules: Rules | None = None) -> Report:
    """Decide a screen from its evidence: a pure function, without files, clocks and engines.

    Parameters
    ----------
    evidence
        Paired outcomes of every contrast, and what was found on the way: `evidence()` of an open run.
    rules
        Rules to decide by; None takes those of the evidence.

    Raises
    ------
    TaisError
        Where the evidence contradicts itself.

    Examples
    --------
    >>> evidence = tais.open_run("reports/small/RUN").evidence()
    >>> tais.decide(evidence).verdict.value
    'pass'
    >>> tais.decide(evidence, evidence.rules.model_copy(update={"margin": 0.01})).verdict.value
    'inconclusive'
    """
    return screen.decide(evidence if rules is None else replace(evidence, rules=rules))


def compare_runs(
    reference: Arm,
    candidate: Arm,
    out: str | Path = "reports",
    *,
    hypothesis: Literal["equivalence", "non_inferiority"] = "non_inferiority",
    signer: Signer | str | Path | None = None,
    trusted_keys: Key | Iterable[Key] = (),
) -> Comparison:
    """Contrast an arm of one finished run with an arm of another, as ``tais compare`` does.

    Parameters
    ----------
    reference, candidate
        Run directory and arm of the old and of the new stack.
    out
        Where the run directory of the comparison goes.
    hypothesis
        What the verdict is about; the other one is decided too, see `upgrade` of what is returned.
    signer
        As of :func:`tais.run_screen`.
    trusted_keys
        Public keys that the runs may be signed with; without one, that of the signer. Without either nobody
        verifies the runs; lock and headline say so, and a gate asks.

    Raises
    ------
    UsageError
        When the runs did not ask the same items in the same way, or an arm is not there.

    Examples
    --------
    >>> made = tais.compare_runs(("reports/small/RUN", "target"), ("reports/small/RUN", "candidate"))
    >>> made.report.verdict.value, made.upgrade["verdicts"]
    ('pass', {'equivalence': 'pass', 'non_inferiority': 'pass'})
    """
    own, sides = _signer(signer), (_side(reference), _side(candidate))
    trusted = _keys(trusted_keys) or ([own.public] if own is not None else [])
    old, new = (bool(trusted) and attest.check_source(side.run_dir, trusted) for side in sides)
    return compare.compare_runs(
        *sides, Path(out), hypothesis=Hypothesis(hypothesis), signer=own, verified=(old, new)
    )


def verify_run(
    run_dir: str | Path,
    keys: Key | Iterable[Key],
    *,
    recompute: bool = False,
    timestamp_ca: str | Path | None = None,
) -> VerifiedRun:
    """Check that a run is what its signer signed, as ``tais verify`` does.

    Parameters
    ----------
    run_dir
        A signed run directory.
    keys
        Public keys that you trust, or their PEM files; never take one from the run.
    recompute
        Whether to score and decide again from the samples, and compare; a run that other verdict rules
        decided is not, and says so.
    timestamp_ca
        Certificates (PEM file or text) of the time authority that must vouch for when lock and run were
        signed; the times are `time` of what is returned.

    Raises
    ------
    VerificationError
        With the first thing that is wrong.

    Examples
    --------
    >>> verified = tais.verify_run("reports/small/RUN", "tais.pub")
    >>> verified.report.verdict.value
    'pass'
    """
    authority = attest.load_authority(timestamp_ca) if timestamp_ca is not None else None
    run = attest.verify_run(Path(run_dir), _keys(keys), recompute, authority)
    if authority is not None:
        run.trusted_time()
    return run


def check_gate(
    run_dir: str | Path,
    policy: Policy | str | Path | None = None,
    *,
    keys: Key | Iterable[Key] = (),
    recompute: bool = False,
    manifest: str | Path | None = None,
    now: datetime | None = None,
) -> GateResult:
    """Verify a run and judge it by a policy, as ``tais gate`` does; `exit_code` 0 means that it opens.

    Parameters
    ----------
    run_dir
        A signed run directory.
    policy
        A policy or its file; None is as strict as a policy can be without naming anything.
    keys
        Public keys that you trust, beside those of the policy.
    recompute, manifest
        Also decide again from the samples; refuse a run that is not one of this manifest as it stands now.
    now
        For ages, waivers and keys; None takes the clock.

    Examples
    --------
    >>> signed = tais.verify_run("reports/small/RUN", "tais.pub").signed_at
    >>> tais.check_gate("reports/small/RUN", "policy.yaml", keys="tais.pub", now=signed).exit_code
    0
    >>> never = signed.replace(year=2100)
    >>> late = tais.check_gate("reports/small/RUN", "policy.yaml", keys="tais.pub", now=never)
    >>> late.exit_code, [objection.code for objection in late.objections]
    (1, ['too_old'])
    """
    rules = policy if isinstance(policy, Policy) else load_policy(policy) if policy else Policy()
    named = load.find_manifest(manifest) if manifest else None
    moment = now or datetime.now(UTC)
    return gate_run(Path(run_dir), rules, _keys(keys), now=moment, recompute=recompute, manifest=named)


def _signer(key: Signer | str | Path | None) -> Signer | None:
    if key is None or isinstance(key, Signer):
        return key
    signer = attest.load_signer(key, os.environ.get("TAIS_KEY_PASSPHRASE") or None)
    if signer.notice:
        warnings.warn(signer.notice, stacklevel=3)
    return signer


def _side(arm: Arm) -> Side:
    return arm if isinstance(arm, Side) else Side(Path(arm[0]), arm[1])


def _keys(keys: Key | Iterable[Key]) -> list[PublicKey]:
    listed = [keys] if isinstance(keys, PublicKey | str | Path) else keys
    return [key if isinstance(key, PublicKey) else attest.load_public_key(key) for key in listed]
