"""Options that several commands take in the same words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say

__all__ = [
    "CacheOption",
    "LimitOption",
    "OutOption",
    "PassEnvOption",
    "QuietOption",
    "RedactOption",
    "RunDirArgument",
    "StallOption",
    "UnsignedOption",
    "VerboseOption",
    "find_run_dir",
    "run_dir_argument",
]


def find_run_dir(named: Path) -> Path:
    """Return the run directory that is meant, and say which where a folder or ``latest`` was named."""
    # Loads pydantic, which help does without.
    from tais.runs.finding import find_run

    found = find_run(named, Path(os.environ.get("TAIS_OUT") or "reports"))
    if found != named:
        say(f"newest finished run: {found}")
    return found


def run_dir_argument(what: str) -> typer.models.ArgumentInfo:
    """Return an argument that takes a run directory, a folder with runs, or ``latest``."""
    help = f"{what}: its directory, a folder with runs (the newest finished one is taken), or latest."
    argument: typer.models.ArgumentInfo = typer.Argument(help=help, metavar="RUN_DIR", callback=find_run_dir)
    return argument


RunDirArgument = Annotated[Path, run_dir_argument("Run")]

CacheOption = Annotated[
    str | None,
    typer.Option(
        "--cache",
        envvar="TAIS_CACHE",
        help="Folder or URL with arms that ran already; what may be taken from it does not run again.",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, envvar="TAIS_LIMIT", help="First N items of each battery only."),
]
OutOption = Annotated[Path, typer.Option("--out", envvar="TAIS_OUT", help="Where run directories go.")]
PassEnvOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pass-env",
        envvar="TAIS_PASS_ENV",
        help="Variable of your environment that engines get too; may be repeated.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the verdict only.")]
RedactOption = Annotated[
    bool, typer.Option("--redact", envvar="TAIS_REDACT", help="Keep prompts and answers out of the reports.")
]
StallOption = Annotated[
    float,
    typer.Option(
        min=1, envvar="TAIS_STALL_TIMEOUT", help="Seconds without progress until an arm is stopped."
    ),
]
UnsignedOption = Annotated[bool, typer.Option("--unsigned", envvar="TAIS_UNSIGNED", help="Sign nothing.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell every phase of every arm, and every endpoint and note.")
]
