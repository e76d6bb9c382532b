"""``tais museum``: real bugs of released engines, and what TAIS says of them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.cli.options import OutOption
from tais.cli.progress import make_observer

__all__ = ["app"]

app = typer.Typer(
    name="museum",
    help="Real bugs of released engines, and what TAIS says of them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def list_exhibits() -> None:
    """List the exhibits: name, releases, title, reference.

    Example: [bold]tais museum list[/bold]
    """
    # Loads pydantic, which help does without.
    from tais.lab.museum import exhibits

    for one in exhibits():
        replayed = "replayed" if one.replayed else "released"
        typer.echo("\t".join((one.name, replayed, one.engine, one.title, one.reference)))


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="Exhibits; all by default.")] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make the environments that are not there yet.")
    ] = False,
    out: OutOption = Path("reports"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the JSON only.")] = False,
) -> None:
    """Run exhibits, and hold what TAIS says of each candidate against what it must say.

    Example: [bold]tais museum run several-stop-strings --create[/bold]

    Exit codes: 0 all as it must be, 1 not so, 2 usage or manifest error, 4 a run failed, 130 interrupted.
    """
    # Loads pyarrow, which help does without.
    from tais.environments.store import create as make
    from tais.executors.variables import for_installers
    from tais.lab.museum import find_exhibits, said_of
    from tais.manifest.load import load_manifest
    from tais.runs.options import RunOptions
    from tais.runs.run import run as run_screen

    found, variables = [], for_installers(os.environ)
    for exhibit in find_exhibits(list(names or ())):
        for environment in load_manifest(exhibit.manifest).environments.values() if create else ():
            if environment.requirements:
                make(environment, say, variables)
        with make_observer(quiet=quiet, verbose=False) as observer:
            outcome = run_screen(exhibit.manifest, RunOptions(out=out), observer)
        told = said_of(exhibit, outcome.report)
        for one in told:
            mark = "right" if one.right else "WRONG"
            say(f"{exhibit.name}: {one.candidate} {one.verdict}, must be {one.expected}: {mark}")
        found += told
    right = all(one.right for one in found)
    rows = [asdict(one) for one in found]
    typer.echo(json.dumps({"schema": "tais/museum/v1", "right": right, "said": rows}, indent=1))
    raise typer.Exit(0 if right else 1)
