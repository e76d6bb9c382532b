"""``tais verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from tais.attest import load_authority, load_public_key, verify_run
from tais.cli.console import say, tell
from tais.cli.key_options import KeyAlias, TrustedKeyOption, trusted_key_of
from tais.cli.options import RunDirArgument
from tais.errors import UsageError

__all__ = ["verify"]


def verify(
    run_dir: RunDirArgument,
    trusted_key: TrustedKeyOption = None,
    key: KeyAlias = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Score and decide again from the samples, and compare.")
    ] = False,
    timestamp_ca: Annotated[
        str | None,
        typer.Option(
            "--timestamp-ca",
            envvar="TAIS_TIMESTAMP_CA",
            help="Certificates (PEM) of the time authority that must vouch for both times of signing.",
        ),
    ] = None,
) -> None:
    """Check that a run is what its signer signed. Exit code 0 when it is, whatever the verdict; else 5.

    Example: [bold]tais verify reports/demo/20260101T120000000000Z --trusted-key tais.pub --recompute[/bold]
    """
    # What was found out goes first, as it always did.
    later: list[str] = []
    trusted = trusted_key_of(trusted_key, key, later.append)
    if not trusted:
        raise UsageError(
            "no key to verify with",
            remedy="Name one that you trust: --trusted-key PUB.pem, the older --key, or TAIS_TRUSTED_KEY",
        )
    authority = load_authority(timestamp_ca) if timestamp_ca else None
    run = verify_run(run_dir, [load_public_key(trusted)], recompute, authority)
    if authority is not None:
        vouched = run.trusted_time()
        later.append(f"by the time authority: lock signed by {vouched.lock}, run by {vouched.run}")
    elif run.tokens:
        later.append("note: it has the word of a time authority, not checked: name it with --timestamp-ca")
    how = "; the samples lead to this report" if run.recomputed else ""
    key_id = run.key.fingerprint[:16]
    say(f"authentic: {len(run.files)} files, signed {run.signed_at} with the key {key_id}{how}")
    for line in later:
        say(line)
    if run.not_compared:
        say(f"note: {run.not_compared}")
    tell(run.report.verdict.value, run_dir)
