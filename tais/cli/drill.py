"""``tais drill``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say
from tais.cli.options import OutOption
from tais.cli.progress import make_observer
from tais.manifest.load import load_manifest
from tais.runs.options import RunOptions

__all__ = ["drill"]


def drill(
    manifest: Annotated[
        str, typer.Argument(help="Manifest that says drill: true, or the name of one that ships with TAIS.")
    ] = "drill",
    out: OutOption = Path("reports"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last drill of this manifest where it stopped.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, envvar="TAIS_LIMIT", help="First N items of each battery only."),
    ] = None,
    only: Annotated[
        str, typer.Option("--only", help="Arms or faults, with commas between; lossless for all sound arms.")
    ] = "",
    again: Annotated[
        Path | None, typer.Option("--from", help="A finished drill: compute its table again, run nothing.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the JSON only.")] = False,
) -> None:
    """Plant faults in a real engine and show which check of the screen catches which.

    Example: [bold]tais drill --only accept_all,kv_not_rolled_back,lossless --out reports[/bold]

    The table goes to standard error, the same as JSON to standard output. A drill is never signed, and no
    gate opens for it.

    Exit codes: 0 all gross faults caught by every check that must and no lossless configuration flagged,
    1 not so, 2 usage or manifest error, 4 a run failed or a fault never acted, 130 interrupted.
    """
    # Loads pyarrow, which help does without.
    from tais.cli.views.drill import print_drill
    from tais.lab.drill import read_drill
    from tais.lab.drill.select import cut_down
    from tais.runs.run import run as run_screen

    run_dir = again
    if run_dir is None:
        chosen = tuple(name.strip() for name in only.split(",") if name.strip())
        asked = load_manifest(manifest)
        if chosen:
            asked = cut_down(asked, chosen, asked.file)
        options = RunOptions(out=out, resume=resume, limit=limit)
        with make_observer(quiet=quiet, verbose=False) as observer:
            run_dir = run_screen(asked, options, observer).run_dir
    table = read_drill(run_dir)
    if not quiet:
        print_drill(table)
        say(f"report: {run_dir / 'report.html'}")
    typer.echo(json.dumps({**table.to_dict(), "run_dir": str(run_dir)}, indent=1))
    raise typer.Exit(table.exit_code)
