"""``tais study``."""

from __future__ import annotations

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
from tais.executors.base import Placement
from tais.executors.variables import check_named
from tais.runs.options import RunOptions
from tais.study.definition import Study, find_folder, load_study
from tais.study.markdown import study_lines

__all__ = ["study"]

_RESUME_HELP = "Take finished runs as they are, continue the one that was stopped, start what is missing."


def study(
    folder: Annotated[
        str, typer.Argument(help="Folder of manifests, or the name of one that ships (paper, paper-mini).")
    ],
    out: OutOption = Path("reports"),
    resume: Annotated[bool, typer.Option("--resume", help=_RESUME_HELP)] = False,
    limit: LimitOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and run nothing.")] = False,
    stall_timeout: StallOption = 1800.0,
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
    """Run every manifest of a folder, in order of their names, and write one report over all of them.

    Each manifest is an ordinary run, signed and verified as usual. study.json, study.md and study.html
    show the published figures beside ours.

    Example: [bold]tais study paper-mini --out reports[/bold]

    Exit codes: the worst of the runs, a fail first: 1 fail, 4 a run failed, 3 inconclusive, 0 pass;
    2 usage or manifest error, 130 interrupted.
    """
    loaded = load_study(find_folder(folder))
    if plan:
        _print_plans(loaded, limit)
        return
    # Loads pyarrow, which help does without.
    from tais.study.runner import run_study

    options = RunOptions(
        out=out,
        resume=resume,
        limit=limit,
        stall_seconds=stall_timeout,
        cache=cache,
        redact=redact,
        signer=choose_signer(signing_key_of(signing_key, key), unsigned, say, timestamp_url),
        placement=Placement(pass_env=check_named(pass_env or ())),
    )
    with make_observer(quiet=quiet, verbose=verbose) as observer:
        outcome = run_study(loaded, options, observer)
    if not quiet:
        for line in study_lines(outcome.report):
            say(line)
    verdict = outcome.report.verdict.value if outcome.report.verdict else "incomplete"
    tell(verdict, outcome.folder)
    raise typer.Exit(outcome.report.exit_code)


def _print_plans(study: Study, limit: int | None) -> None:
    # Loads numpy, which help does without.
    from tais.cli.views.plan import print_plan
    from tais.plan.plan import make_plan

    arms = samples = 0
    for path in study.manifests.values():
        made = make_plan(path, limit, incomplete=True)
        print_plan(made)
        typer.echo("")
        arms += len(made.arms)
        samples += len(made.arms) * made.samples_per_arm
    typer.echo(f"{len(study.manifests)} manifests, {arms} arms, {samples:,} answers in all")
