"""``tais gate``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tais.attest import load_public_key
from tais.cli.console import say, tell
from tais.cli.key_options import KeyAlias, TrustedKeyOption, trusted_key_of
from tais.cli.options import RunDirArgument
from tais.errors import TaisError
from tais.gate.codes import OBJECTIONS
from tais.gate.gate import GateResult, gate_run
from tais.gate.github import (
    annotation,
    defuse,
    failure_summary,
    github_level,
    summary,
    write_outputs,
    write_summary,
)
from tais.gate.policy import Policy, load_policy
from tais.manifest.load import find_manifest
from tais.report.next_steps import next_steps

__all__ = ["gate"]


PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", envvar="TAIS_POLICY", help="What to ask of the run; strict without one."),
]
_RECOMPUTE_HELP = "Score and decide again from the samples too."
RecomputeOption = Annotated[bool, typer.Option("--recompute", envvar="TAIS_RECOMPUTE", help=_RECOMPUTE_HELP)]
_MANIFEST_HELP = "Refuse a run that is not one of this manifest as it stands now, weights and items included."
ManifestOption = Annotated[
    str | None, typer.Option("--manifest", envvar="TAIS_GATE_MANIFEST", help=_MANIFEST_HELP)
]
_GITHUB_HELP = "Write step summary, annotations and outputs for GitHub."
GithubOption = Annotated[bool, typer.Option("--github", envvar="TAIS_GITHUB", help=_GITHUB_HELP)]


def gate(
    run_dir: RunDirArgument,
    policy: PolicyOption = None,
    trusted_key: TrustedKeyOption = None,
    key: KeyAlias = None,
    recompute: RecomputeOption = False,
    github: GithubOption = False,
    manifest: ManifestOption = None,
) -> None:
    """Verify a run, judge it by a policy, and exit as CI should.

    Example: [bold]tais gate reports/demo/RUN --policy policy.yaml --trusted-key tais.pub[/bold]

    Exit codes: 0 open, 1 fail or policy not met, 2 usage or policy error, 3 inconclusive, 5 not verified.
    """
    try:
        rules = load_policy(policy) if policy else Policy()
        if policy and not rules.strict:
            say("note: this is a tais/policy/v1; v2 asks for more (tais policy explain, docs/gate.md)")
        trusted = trusted_key_of(trusted_key, key)
        keys = [load_public_key(trusted)] if trusted else []
        result = gate_run(
            run_dir, rules, keys, now=datetime.now(UTC), recompute=recompute, manifest=_find(manifest)
        )
    except TaisError as error:
        if github:
            _tell_github_failure(error, run_dir)
        raise
    if github:
        _tell_github(result, run_dir)
    _print(result, run_dir)
    raise typer.Exit(result.exit_code)


def _find(manifest: str | None) -> Path | None:
    return find_manifest(manifest) if manifest else None


def _print(result: GateResult, run_dir: Path) -> None:
    for objection in result.objections:
        say(defuse(f"{objection.level}: {objection.code}: {objection.message}"))
        if remedy := OBJECTIONS[objection.code].remedy:
            say(f"  what to do: {remedy}")
    for step in next_steps(result.run.report):
        say(defuse(f"  what to do next: {step.line}"))
    verdict = result.run.report.verdict.value
    say(f"gate: {result.outcome.value} (the verdict of the run is {verdict})")
    tell(result.outcome.value, run_dir)


def _tell_github(result: GateResult, run_dir: Path) -> None:
    for objection in result.objections:
        title = f"TAIS gate: {objection.code}"
        typer.echo(annotation(github_level(objection.level), title, objection.message))
    write_summary(summary(result, run_dir))
    write_outputs(
        {
            "outcome": result.outcome.value,
            "verdict": result.run.report.verdict.value,
            "exit-code": str(result.exit_code),
            "run-dir": str(run_dir),
        }
    )


def _tell_github_failure(error: TaisError, run_dir: Path) -> None:
    typer.echo(annotation("error", f"TAIS gate: {type(error).__name__}", str(error)))
    write_summary(failure_summary(str(error)))
    write_outputs(
        {"outcome": "error", "verdict": "", "exit-code": str(error.exit_code), "run-dir": str(run_dir)}
    )
