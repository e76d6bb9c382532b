"""Signatures: the lock before the first token, the run when its report is written, and the check of both.

An in-toto Statement in a DSSE envelope in a Sigstore bundle, so that strangers verify it with tools of
their own: see ``docs/verify.md``. Nothing else in TAIS signs.
"""

from tais.attest.keys import PublicKey, Signer, choose_signer, default_signer, load_public_key, load_signer
from tais.attest.sign import sign_lock, sign_run
from tais.attest.source import check_source, trusted_keys
from tais.attest.timestamp import Authority, load_authority
from tais.attest.verify import VerifiedRun, verify_run

__all__ = [
    "Authority",
    "PublicKey",
    "Signer",
    "VerifiedRun",
    "check_source",
    "choose_signer",
    "default_signer",
    "load_authority",
    "load_public_key",
    "load_signer",
    "sign_lock",
    "sign_run",
    "trusted_keys",
    "verify_run",
]
