"""What a run that is made from others may say of them: verified, or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tais.attest.bundle import json_object
from tais.attest.contents import read_bytes
from tais.attest.keys import PUBLIC_NAME, PublicKey, Signer, default_key_path, load_public_key
from tais.attest.verify import verify_run
from tais.errors import Place, UsageError, VerificationError
from tais.rundir.layout import BUNDLES, REPORT, RUN_BUNDLE
from tais.rundir.lock import lock_digest, read_lock
from tais.rundir.lock_model import plain
from tais.rundir.sources import sources_of

__all__ = ["check_source", "trusted_keys"]


def trusted_keys(named: str | None, signer: Signer | None) -> list[PublicKey]:
    """Return the keys that sources may be signed with: the one that was named, else one's own.

    Parameters
    ----------
    named
        Path or PEM text, as ``--trusted-key`` or ``TAIS_TRUSTED_KEY`` give it.
    signer
        Who signs what is made.
    """
    if named:
        return [load_public_key(named)]
    if signer is not None:
        return [signer.public]
    own = default_key_path().with_name(PUBLIC_NAME)
    return [load_public_key(own)] if own.exists() else []


def check_source(run_dir: Path, trusted: Sequence[PublicKey]) -> bool:
    """Look at a run that another one is going to be made from.

    Parameters
    ----------
    run_dir
        A finished run.
    trusted
        Keys that it may be signed with.

    Returns
    -------
    bool
        Whether it, and whatever it was made from itself, is signed and verified.

    Raises
    ------
    UsageError
        When it is signed and no key is trusted.
    VerificationError
        When it is signed and does not verify, or its report was made under another lock.
    """
    if any((run_dir / name).exists() or (run_dir / name).is_symlink() for name in BUNDLES):
        if not trusted:
            what, remedy = "this run is signed, and no key is trusted", "Name the key: --trusted-key PUB.pem"
            raise UsageError(what, place=Place(str(run_dir)), remedy=remedy)
        if not (run_dir / RUN_BUNDLE).exists():
            what = "the lock of this run is signed, and the run is not"
            raise VerificationError(
                what, place=Place(str(run_dir)), remedy="Finish it with tais run --resume"
            )
        return all(source.verified for source in sources_of(verify_run(run_dir, trusted).lock))
    _check_report(run_dir)
    return False


def _check_report(run_dir: Path) -> None:
    """Raise VerificationError where an unsigned report was made under another lock than the one beside it."""
    lock = read_lock(run_dir)
    if not (run_dir / REPORT).is_file():
        # Whoever takes it asks for one that is finished.
        return
    report = json_object(read_bytes(run_dir, REPORT), run_dir, REPORT)
    facts = report.get("facts")
    made_under = facts.get("lock") if isinstance(facts, dict) else None
    digest = made_under.get("sha256") if isinstance(made_under, dict) else None
    if digest != lock_digest(run_dir) or report.get("rules") != plain(lock.rules):
        what = "the report was made under another lock"
        remedy = "Take the run directory from its backup, or run the screen again"
        raise VerificationError(what, place=Place(str(run_dir)), remedy=remedy)
