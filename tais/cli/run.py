"""``tais run`` and ``tais plan``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tais.attest import choose_signer
from tais.cli.console import say, tell
from tais.cli.key_options import KeyAlias, SigningKeyOption, TimestampUrlOption, signing_key_of
from tais.cli.options import (
    CacheOption,
    LimitOption,
    OutOption,
    PassEnvOption,
    QuietOption,
    RedactOption,
    StallOption,
    UnsignedOption,
    VerboseOption,
)
from tais.cli.progress import make_observer
from tais.cli.views.report import print_report
from tais.cost.choose import rates_for
from tais.executors.base import Placement
from tais.executors.devices import parse_devices
from tais.executors.variables import check_named
from tais.runs.options import RunOptions

__all__ = ["plan", "run"]

ManifestArgument = Annotated[
    str,
    typer.Argument(
        help="Manifest file, or the name of one that ships with TAIS (demo, quick, sweep, upgrade)."
    ),
]


def run(
    manifest: ManifestArgument,
    out: OutOption = Path("reports"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last run of this manifest where it stopped.")
    ] = False,
    limit: LimitOption = None,
    stall_timeout: StallOption = 1800.0,
    part_samples: Annotated[
        int,
        typer.Option(
            min=1, envvar="TAIS_PART_SAMPLES", help="Samples per stored part: what a kill can cost at most."
        ),
    ] = 256,
    executor: Annotated[
        str, typer.Option("--executor", envvar="TAIS_EXECUTOR", help="Where arms run: local or ray.")
    ] = "local",
    devices: Annotated[
        str | None,
        typer.Option(
            envvar="TAIS_DEVICES",
            help="GPUs that arms share out, such as 0,1,2,3. Default: all that are visible.",
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            envvar="TAIS_RAY_ADDRESS",
            help="HOST:PORT of a running Ray cluster. Default: RAY_ADDRESS, else one is started here.",
        ),
    ] = None,
    shared: Annotated[
        str | None,
        typer.Option(
            envvar="TAIS_SHARED",
            help="Folder or fsspec URL that all nodes of the cluster reach. Default: the run directory.",
        ),
    ] = None,
    shard_items: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="TAIS_SHARD_ITEMS",
            help="Answers per shard. Default: 2048 for float32 arms, others stay whole.",
        ),
    ] = None,
    signing_key: SigningKeyOption = None,
    key: KeyAlias = None,
    timestamp_url: TimestampUrlOption = None,
    unsigned: UnsignedOption = False,
    redact: RedactOption = False,
    cache: CacheOption = None,
    pass_env: PassEnvOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run the arms of a manifest, score them, and decide. The exit code is the verdict.

    Example: [bold]tais run manifests/demo.yaml --out reports[/bold]

    Exit codes: 0 pass, 1 fail, 2 usage or manifest error, 3 inconclusive, 4 a run failed, 130 interrupted.
    """
    # Loads pyarrow, which help does without.
    from tais.runs.run import run as run_screen

    named = parse_devices(devices) if devices is not None else None
    options = RunOptions(
        out=out,
        resume=resume,
        limit=limit,
        stall_seconds=stall_timeout,
        part_samples=part_samples,
        cache=cache,
        redact=redact,
        signer=choose_signer(signing_key_of(signing_key, key), unsigned, say, timestamp_url),
        placement=Placement(executor, named, ray_address, shared, shard_items, check_named(pass_env or ())),
    )
    with make_observer(quiet=quiet, verbose=verbose) as observer:
        outcome = run_screen(manifest, options, observer)
    if not quiet:
        print_report(outcome.report, outcome.run_dir, verbose=verbose)
    tell(outcome.report.verdict.value, outcome.run_dir)
    raise typer.Exit(outcome.report.exit_code)


def plan(
    manifest: ManifestArgument,
    limit: LimitOption = None,
    out: Annotated[
        Path, typer.Option("--out", envvar="TAIS_OUT", help="Where earlier runs lie, and measured rates.")
    ] = Path("reports"),
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few items of every arm on its engine first.")
    ] = False,
    calibrate_items: Annotated[
        int | None, typer.Option(min=1, help="Items to time; by default what fills an arm's batch once.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option("--rates", help="Declared rates (JSON): a simulation, without an engine.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Sets of devices that run at once.")] = 1,
    shards: Annotated[int, typer.Option("--shards", min=1, help="Parts that an arm is divided into.")] = 1,
    probes: Annotated[
        Path | None,
        typer.Option("--probes", help="Write the questions of the exchange control here, for imported arms."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a manifest would run, and what it would cost; no engine starts without --calibrate.

    No weights are fetched. A battery whose data is not at hand is named as such; HF_HUB_OFFLINE=1 does not
    ask the hub for it.

    The cost rests on the last calibration or finished run of the manifest, or on --rates.

    Example: [bold]tais plan manifests/demo.yaml --calibrate[/bold]
    """
    # Loads numpy, which help does without.
    from tais.cli.views.plan import print_cost, print_outlook, print_plan
    from tais.cli.views.plan_json import plan_values
    from tais.plan.plan import make_plan
    from tais.plan.probes import save_probes
    from tais.runs.outlook import last_run, outlook
    from tais.stats.power import zero_discordance_floor

    planned = make_plan(manifest, limit, incomplete=not calibrate)
    likely = outlook(planned, last_run(out / planned.manifest.name))
    if not as_json:
        print_plan(planned, likely)
        rules = planned.manifest.rules
        print_outlook(likely, zero_discordance_floor(rules.margin, rules.alpha, exact=rules.exact))
    if probes is not None:
        save_probes(planned.lock, probes, say)
    found = rates_for(planned, out, rates, say if calibrate else None, calibrate_items)
    if as_json:
        typer.echo(json.dumps(plan_values(planned, likely, found, workers, shards), indent=2))
    else:
        print_cost(planned, found, workers, shards)
