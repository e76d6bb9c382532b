"""``tais run`` and ``tais plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["plan", "run"]

ManifestArgument = Annotated[
    str,
    typer.Argument(
        help="Manifest file, or the name of one that ships with TAIS (demo, quick, sweep, upgrade)."
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, envvar="TAIS_LIMIT", help="First N items of each battery only."),
]


def run(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option("--out", envvar="TAIS_OUT", help="Where run directories go.")] = Path(
        "reports"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last run of this manifest where it stopped.")
    ] = False,
    limit: LimitOption = None,
    stall_timeout: Annotated[
        float,
        typer.Option(
            min=1, envvar="TAIS_STALL_TIMEOUT", help="Seconds without progress until an arm is stopped."
        ),
    ] = 1800.0,
    part_samples: Annotated[
        int,
        typer.Option(
            min=1, envvar="TAIS_PART_SAMPLES", help="Samples per stored part: what a kill can cost at most."
        ),
    ] = 256,
    key: Annotated[
        str | None,
        typer.Option("--key", envvar="TAIS_SIGNING_KEY", help="Private key (PEM) that signs the run."),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", envvar="TAIS_UNSIGNED", help="Sign nothing.")
    ] = False,
    redact: Annotated[
        bool,
        typer.Option("--redact", envvar="TAIS_REDACT", help="Keep prompts and answers out of the reports."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell every phase of every arm.")] = False,
) -> None:
    """Run the arms of a manifest, score them, and decide. The exit code is the verdict.

    Example: [bold]tais run manifests/demo.yaml --out reports[/bold]

    Exit codes: 0 pass, 1 fail, 2 usage or manifest error, 3 inconclusive, 4 a run failed, 130 interrupted.
    """
    from tais.attest import choose_signer
    from tais.cli.console import say
    from tais.cli.progress import make_observer
    from tais.report.terminal import print_report
    from tais.run import RunOptions
    from tais.run import run as run_screen

    options = RunOptions(
        out=out,
        resume=resume,
        limit=limit,
        stall_seconds=stall_timeout,
        part_samples=part_samples,
        redact=redact,
        signer=choose_signer(key, unsigned, say),
    )
    with make_observer(quiet=quiet, verbose=verbose) as observer:
        outcome = run_screen(manifest, options, observer)
    if not quiet:
        print_report(outcome.report, outcome.run_dir)
    typer.echo(f"{outcome.report.verdict.value}\t{outcome.run_dir}")
    raise typer.Exit(outcome.report.exit_code)


def plan(manifest: ManifestArgument, limit: LimitOption = None) -> None:
    """Show what a manifest would run; no engine starts, and no weights are fetched.

    A battery whose data is not at hand is named as such. HF_HUB_OFFLINE=1 does not ask the hub for it.

    Example: [bold]tais plan manifests/demo.yaml[/bold]
    """
    from tais.report.plan import print_plan
    from tais.run import make_plan

    print_plan(make_plan(manifest, limit, incomplete=True))
