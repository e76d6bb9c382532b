"""Options that several commands take in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "CacheOption",
    "LimitOption",
    "OutOption",
    "PassEnvOption",
    "QuietOption",
    "RedactOption",
    "StallOption",
    "UnsignedOption",
    "VerboseOption",
]

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
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Tell every phase of every arm.")]
