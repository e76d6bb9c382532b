"""``tais adjudicate``: ask people about flipped answers, blind, and cite what they said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tais.attest import choose_signer
from tais.cli.console import say, tell
from tais.cli.key_options import (
    KeyAlias,
    SigningKeyOption,
    TimestampUrlOption,
    TrustedKeyOption,
    signing_key_of,
    verified_sources,
)
from tais.cli.options import OutOption, RunDirArgument, UnsignedOption
from tais.cli.views.report import print_adjudication

__all__ = ["app"]

app = typer.Typer(
    name="adjudicate",
    help="Ask people about flipped answers, blind, and cite what they said.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("export")
def export_sheet(
    run_dir: RunDirArgument,
    out: Annotated[Path, typer.Option("--out", help="Sheet to write: a .csv or .jsonl file.")],
    battery: Annotated[
        list[str] | None, typer.Option("--battery", help="This battery only; may be repeated.")
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option("--endpoint", help="This scorer only; may be repeated.")
    ] = None,
    also: Annotated[
        int, typer.Option("--also", min=0, help="Items per contrast that agree, as blind controls.")
    ] = 0,
) -> None:
    """Write the answers of flipped items to a sheet: shuffled, and without their arm.

    The key file beside it is for you alone: whoever labels must not see it, and import needs it.

    Example: [bold]tais adjudicate export reports/demo/RUN --out flips.csv --also 20[/bold]
    """
    # Loads pyarrow, which help does without.
    from tais.adjudication.cases import Selection
    from tais.adjudication.sheet import export

    selection = Selection(tuple(battery or ()), tuple(endpoint or ()), also)
    key, shown = export(run_dir, out, selection)
    flips = sum(case.direction != "same" for case in shown.cases)
    say(f"{out}: {len(shown.answers)} answers of {flips} flips and {len(shown.cases) - flips} controls")
    say("label each row expected, not_expected or unsure; a copy of the sheet per person")
    say(f"{key}: keep it, and from those who label; tais adjudicate import needs it")
    tell(len(shown.answers), out, key)


@app.command("import")
def import_labels(
    run_dir: RunDirArgument,
    labels: Annotated[list[Path], typer.Argument(help="Sheets that were filled in, one per person.")],
    sheet_key: Annotated[
        Path | None,
        typer.Option("--sheet-key", help="Key file of the sheet; else the one beside the labels."),
    ] = None,
    out: OutOption = Path("reports"),
    trusted_key: TrustedKeyOption = None,
    signing_key: SigningKeyOption = None,
    key: KeyAlias = None,
    timestamp_url: TimestampUrlOption = None,
    unsigned: UnsignedOption = False,
) -> None:
    """Take labels back: a run directory of its own with the same verdict, and what people said of it.

    Exit code 0 when the labels fit, whatever the verdict.

    Example: [bold]tais adjudicate import reports/demo/RUN anna.csv ben.csv[/bold]
    """
    # Loads pyarrow, which help does without.
    from tais.runs.adjudicate import adjudicate, find_key

    signer = choose_signer(signing_key_of(signing_key, key), unsigned, say, timestamp_url)
    (verified,) = verified_sources((run_dir,), trusted_key, signer)
    made, report = adjudicate(
        run_dir,
        labels,
        sheet_key or find_key(labels[0]),
        out,
        signer=signer,
        verified=verified,
    )
    print_adjudication(report)
    tell(report.verdict.value, made)
