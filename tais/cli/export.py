"""``tais export``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tais.cli.console import say, tell
from tais.cli.options import RunDirArgument
from tais.errors import Place, UsageError

__all__ = ["To", "export"]


class To(StrEnum):
    """What other tools read."""

    csv = "csv"
    parquet = "parquet"
    jsonl = "jsonl"
    inspect = "inspect"


def export(
    run_dir: RunDirArgument,
    to: Annotated[
        To, typer.Option("--to", help="csv, parquet or jsonl: a file per table; inspect: its logs.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="New folder to write to. Default: RUN.csv and so on, right here."),
    ] = None,
) -> None:
    """Write what a run holds for other tools: csv, parquet, jsonl or Inspect logs.

    Tables: items, samples, scores, endpoints, flips; of logs, one per arm and battery. Prompts and answers
    are among them. The run stays as it is.

    Example: [bold]tais export latest --to parquet --out tables[/bold]
    """
    # Loads pandas, which help does without.
    from tais.common.files import store_error
    from tais.export.inspect_log import write_inspect
    from tais.export.tables import write_tables
    from tais.frames import open_run
    from tais.rundir.layout import run_around

    run = open_run(run_dir)
    folder = out or Path(f"{run_dir.resolve().name}.{to.value}")
    if os.path.lexists(folder):
        raise UsageError(
            "this folder is there already", place=Place(str(folder)), remedy="Name a new one: --out"
        )
    # A signed run takes no further file.
    if run_around(folder) is not None:
        raise UsageError("this folder lies in a run", place=Place(str(folder)), remedy="Name another --out")
    # What cannot be read is said before there is a folder.
    _ = run.report
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise store_error(error, folder) from error
    written = write_inspect(run, folder) if to is To.inspect else write_tables(run, folder, to.value)
    for path in written:
        tell(path)
    say(f"{len(written)} files; they hold prompts and answers")
