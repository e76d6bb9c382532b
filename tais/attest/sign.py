"""Signing: the lock before the first token, the run when its report is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tais.attest.binding import check_together, signed_lock
from tais.attest.bundle import Json, claimed_key, json_object, open_bundle, seal
from tais.attest.contents import digest_files, read_bytes, sha256
from tais.attest.keys import Signer
from tais.attest.statement import (
    LOCK_TYPE,
    lock_statement,
    parse_statement,
    run_statement,
    test_statement,
)
from tais.common.files import remove_leftovers, sha256_file, write_atomic
from tais.errors import Place, UsageError, VerificationError
from tais.rundir.layout import ITEMS, LOCK, LOCK_BUNDLE, REPORT, RUN_BUNDLE, TEST_BUNDLE, RunDir

__all__ = ["sign_lock", "sign_run"]


def sign_lock(run_dir: Path, signer: Signer, now: datetime | None = None) -> Path:
    """Sign what is fixed before the first token: the lock and the items.

    On a resumed run the bundle is there already; it is checked and left as it is.

    Parameters
    ----------
    run_dir
        Run directory with its lock and items, and no sample yet.
    signer
        Private key; the same must sign the finished run.
    now
        Time of signing; the clock's when left out.

    Returns
    -------
    Path
        The bundle.

    Raises
    ------
    UsageError
        When samples exist already, which nobody can say were made under this lock, or another key
        signed it.
    VerificationError
        When the bundle that is there is not for this lock.
    """
    path = run_dir / LOCK_BUNDLE
    if path.exists() or path.is_symlink():
        _check_lock_bundle(run_dir, signer)
        return path
    if any(RunDir(run_dir).arms.rglob("*.parquet")):
        raise UsageError(
            "this run began unsigned, and a lock is signed before the first token or never",
            place=Place(str(run_dir)),
            remedy="Continue it with --unsigned, or start a new run",
        )
    files = {name: sha256_file(run_dir / name) for name in (LOCK, ITEMS) if (run_dir / name).is_file()}
    statement = lock_statement(files, RunDir(run_dir).id, _moment(now))
    write_atomic(path, seal(statement.to_bytes(), signer, timed=True))
    return path


def sign_run(
    run_dir: Path,
    signer: Signer,
    now: datetime | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Sign a finished run: every file in its directory, and the verdict.

    What is signed are the bytes that lie there. A run that is signed is left as it is.

    Parameters
    ----------
    run_dir
        Run directory with its report.
    signer
        The key that signed the lock.
    now
        Time of signing; the clock's when left out. Where the clock went back since the lock was signed, the
        lock's time stands for it: a run is never older than its lock.
    note
        Told of such a clock.

    Returns
    -------
    list of Path
        The two bundles.

    Raises
    ------
    UsageError
        When another key signed the lock.
    VerificationError
        When lock, report and lock bundle do not belong together, or a file is no ordinary one.
    """
    paths = [run_dir / TEST_BUNDLE, run_dir / RUN_BUNDLE]
    if all(path.exists() for path in paths):
        return paths
    remove_leftovers(run_dir)
    _check_lock_bundle(run_dir, signer)
    files = digest_files(run_dir)
    lock = signed_lock(_read(run_dir, LOCK, files), str(run_dir / LOCK))
    report = json_object(_read(run_dir, REPORT, files), run_dir, REPORT)
    bundle = read_bytes(run_dir, LOCK_BUNDLE)
    locked = _predicate_of(bundle, signer)
    check_together(lock, report, files, str(locked["run"]))
    moment, before = _moment(now), datetime.fromisoformat(str(locked["signedAt"]))
    if now is None and moment < before:
        if note is not None:
            note(f"the clock went back: the lock was signed at {before.isoformat()}, and now it is earlier")
        moment = before
    statement = run_statement(files, lock, report, sha256(bundle), moment)
    attestation = seal(statement.to_bytes(), signer, timed=True)
    # The attestation last: a directory that has one is a signed run.
    write_atomic(paths[0], seal(test_statement(files, lock, report).to_bytes(), signer))
    write_atomic(paths[1], attestation)
    return paths


def _check_lock_bundle(run_dir: Path, signer: Signer) -> None:
    remedy = "Sign the lock before the first token; a run that began unsigned stays so"
    data = read_bytes(run_dir, LOCK_BUNDLE, remedy)
    where = str(run_dir / LOCK_BUNDLE)
    key_id = claimed_key(data, where)
    if key_id != signer.public.fingerprint:
        raise UsageError(
            f"another key signed this lock: {key_id[:16]!r}, yours is {signer.public.fingerprint[:16]!r}",
            place=Place(where),
            remedy="Continue with that key, or start a new run",
        )
    statement = parse_statement(open_bundle(data, [signer.public], where).payload, LOCK_TYPE, where)
    stored = {s["name"]: s["digest"]["sha256"] for s in statement.subjects}
    changed = [name for name, digest in stored.items() if sha256(read_bytes(run_dir, name)) != digest]
    if changed:
        raise VerificationError(
            f"{changed[0]} is not what was signed before the first token",
            place=Place(str(run_dir)),
            remedy="Start a new run",
        )


def _predicate_of(bundle: bytes, signer: Signer) -> Json:
    opened = open_bundle(bundle, [signer.public], LOCK_BUNDLE)
    return parse_statement(opened.payload, LOCK_TYPE, LOCK_BUNDLE).predicate


def _read(run_dir: Path, name: str, files: dict[str, str]) -> bytes:
    data = read_bytes(run_dir, name, "Sign a run that is finished")
    if sha256(data) != files[name]:
        raise VerificationError(f"{name} changed while it was read", place=Place(str(run_dir)))
    return data


def _moment(now: datetime | None) -> datetime:
    return (now or datetime.now(UTC)).astimezone(UTC)
