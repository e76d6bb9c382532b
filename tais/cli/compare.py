"""``tais compare``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from tais.cli.options import OutOption, UnsignedOption, run_dir_argument
from tais.manifest.model import Hypothesis
from tais.records import EndpointKey

if TYPE_CHECKING:
    from tais.runs.compare import Comparison

__all__ = ["compare"]


class Claim(StrEnum):
    """What a pass states."""

    equivalence = "equivalence"
    non_inferiority = "non_inferiority"


RunA = Annotated[Path, run_dir_argument("Run with the reference, the old stack")]
RunB = Annotated[Path, run_dir_argument("Run with the candidate, the new stack")]


def compare(
    run_a: RunA,
    run_b: RunB,
    reference: Annotated[str, typer.Option("--reference", help="Arm of the first run.")],
    candidate: Annotated[str, typer.Option("--candidate", help="Arm of the second run.")],
    out: OutOption = Path("reports"),
    hypothesis: Annotated[
        Claim, typer.Option("--hypothesis", help="What the verdict is about; the other is told too.")
    ] = Claim.non_inferiority,
    trusted_key: TrustedKeyOption = None,
    signing_key: SigningKeyOption = None,
    key: KeyAlias = None,
    timestamp_url: TimestampUrlOption = None,
    unsigned: UnsignedOption = False,
) -> None:
    """Contrast the arms of two runs: did the upgrade make anything worse? The exit code is the verdict.

    Example: [bold]tais compare reports/old/RUN reports/new/RUN --reference target --candidate target[/bold]
    """
    # Loads pyarrow, which help does without.
    from tais.runs.compare import Side, compare_runs

    signer = choose_signer(signing_key_of(signing_key, key), unsigned, say, timestamp_url)
    verified = verified_sources((run_a, run_b), trusted_key, signer)
    made = compare_runs(
        Side(run_a, reference),
        Side(run_b, candidate),
        out,
        hypothesis=Hypothesis(hypothesis.value),
        signer=signer,
        verified=(verified[0], verified[1]),
    )
    _print(made)
    raise typer.Exit(made.report.exit_code)


def _print(made: Comparison) -> None:
    for sentence in made.said:
        say(sentence)
    for name, verdict in made.upgrade["verdicts"].items():
        say(f"{name}: {verdict}")
    for entry in made.upgrade["batteries"]:
        sides = (f"{entry[side]['count']} {side}" for side in ("worse", "better"))
        key = EndpointKey(entry["battery"], entry.get("stratum"), entry["scorer"])
        say(f"{key.name}: {', '.join(sides)}")
    tell(made.report.verdict.value, made.run_dir)
