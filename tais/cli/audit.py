"""``tais audit``."""

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
from tais.cli.options import OutOption, PassEnvOption, QuietOption, UnsignedOption, run_dir_argument
from tais.cli.progress import make_observer
from tais.cli.views.report import print_report
from tais.executors.base import Placement
from tais.executors.variables import check_named
from tais.runs.options import RunOptions

__all__ = ["audit"]


def audit(
    run_dir: Annotated[Path, run_dir_argument("Run with the answers")],
    manifest: Annotated[str, typer.Option("--manifest", help="Manifest of that run.")],
    reference: Annotated[str, typer.Option("--reference", help="Arm whose stack scores the tokens.")],
    candidate: Annotated[
        list[str] | None, typer.Option("--candidate", help="Arm to audit; repeat for several.")
    ] = None,
    out: OutOption = Path("reports"),
    trusted_key: TrustedKeyOption = None,
    signing_key: SigningKeyOption = None,
    key: KeyAlias = None,
    timestamp_url: TimestampUrlOption = None,
    unsigned: UnsignedOption = False,
    pass_env: PassEnvOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score every token of stored answers under a reference stack. The exit code is the verdict.

    Example: [bold]tais audit reports/demo/RUN --manifest demo --reference target --candidate ngram[/bold]

    The run stays as it is; the audit is a run directory of its own that cites it.
    """
    # Loads pyarrow, which help does without.
    from tais.runs.audit import audit_run

    placement = Placement(pass_env=check_named(pass_env or ()))
    signer = choose_signer(signing_key_of(signing_key, key), unsigned, say, timestamp_url)
    (verified,) = verified_sources((run_dir,), trusted_key, signer)
    options = RunOptions(out=out, signer=signer, placement=placement)
    with make_observer(quiet=quiet, verbose=False) as observer:
        outcome = audit_run(
            run_dir, manifest, reference, candidate or (), options, observer, verified=verified
        )
    if not quiet:
        print_report(outcome.report, outcome.run_dir)
    tell(outcome.report.verdict.value, outcome.run_dir)
    raise typer.Exit(outcome.report.exit_code)
