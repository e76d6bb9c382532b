"""``tais keygen``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tais.attest.keys import Algorithm, generate, write_pair
from tais.cli.console import say, tell

__all__ = ["keygen"]


class KeyType(StrEnum):
    """How a key signs."""

    ecdsa_p256 = "ecdsa-p256"
    ed25519 = "ed25519"


def keygen(
    out: Annotated[Path, typer.Option("--out", envvar="TAIS_KEY_OUT", help="Where the keys go.")] = Path(),
    type: Annotated[
        KeyType, typer.Option("--type", help="cosign cannot verify with a plain Ed25519 key.")
    ] = KeyType.ecdsa_p256,
    passphrase: Annotated[
        bool,
        typer.Option("--passphrase", help="Ask for a passphrase; TAIS_KEY_PASSPHRASE gives one unasked."),
    ] = False,
) -> None:
    """Make a key pair: tais.key signs runs and stays with you, tais.pub verifies them.

    Example: [bold]tais keygen --out keys[/bold]
    """
    secret = os.environ.get("TAIS_KEY_PASSPHRASE")
    if passphrase and not secret:
        secret = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    signer = generate(Algorithm(type.value))
    private, public = write_pair(out, signer, secret)
    say(f"private key {private}: keep it secret; public key {public}: hand it to those who verify")
    tell(signer.public.fingerprint, private, public)
