"""``--signing-key`` and ``--trusted-key``, in all commands alike; ``--key`` is the old name of both.

Which of the two ``--key`` meant depended on the command. It still works, and says what it was taken for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tais.attest import Signer, check_source, trusted_keys
from tais.cli.console import say
from tais.errors import UsageError

__all__ = [
    "KeyAlias",
    "SigningKeyOption",
    "TimestampUrlOption",
    "TrustedKeyOption",
    "signing_key_of",
    "trusted_key_of",
    "verified_sources",
]

SigningKeyOption = Annotated[
    str | None,
    typer.Option(
        "--signing-key",
        envvar="TAIS_SIGNING_KEY",
        help="Private key (PEM file or text) to sign with; else your own.",
    ),
]
TrustedKeyOption = Annotated[
    str | None,
    typer.Option(
        "--trusted-key",
        envvar="TAIS_TRUSTED_KEY",
        help="Public key (PEM file or text) that you trust; never take one from the run.",
    ),
]
TimestampUrlOption = Annotated[
    str | None,
    typer.Option(
        "--timestamp-url",
        envvar="TAIS_TIMESTAMP_URL",
        help="Time authority (RFC 3161) that says when lock and run were signed.",
    ),
]
KeyAlias = Annotated[str | None, typer.Option("--key", hidden=True)]


def signing_key_of(named: str | None, alias: str | None) -> str | None:
    """Return the private key that a command was given under either name.

    Raises
    ------
    UsageError
        When both names stand on the command line.
    """
    return _one("--signing-key", "TAIS_SIGNING_KEY", "the private key to sign with", named, alias)


def trusted_key_of(named: str | None, alias: str | None, tell: Callable[[str], None] = say) -> str | None:
    """Return the public key that a command was given under either name; raises as :func:`signing_key_of`."""
    return _one("--trusted-key", "TAIS_TRUSTED_KEY", "the public key that you trust", named, alias, tell)


def verified_sources(
    runs: Sequence[Path], trusted_key: str | None, signer: Signer | None
) -> tuple[bool, ...]:
    """Check the runs that another is going to be made from, and return of each whether it was verified.

    Raises
    ------
    UsageError, VerificationError
        As of :func:`tais.attest.check_source`.
    """
    trusted = trusted_keys(trusted_key, signer)
    verified = tuple(check_source(run_dir, trusted) for run_dir in runs)
    for run_dir in dict.fromkeys(run for run, holds in zip(runs, verified, strict=True) if not holds):
        say(f"note: {run_dir} rests on a run that is not signed; what is made of it says so, and a gate asks")
    return verified


def _one(
    option: str,
    variable: str,
    what: str,
    named: str | None,
    alias: str | None,
    tell: Callable[[str], None] = say,
) -> str | None:
    if alias is None:
        return named
    if named is not None and named != os.environ.get(variable):
        raise UsageError(f"--key and {option} are two names of one option", remedy="Leave out --key")
    tell(f"--key was taken for {option}: {what}")
    return alias
