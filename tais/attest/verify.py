"""The check of a signed run: signatures, digests, that lock and report belong together.

On request also that the samples lead to the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from tais.attest.binding import check_together, signed_lock
from tais.attest.bundle import Opened, json_object, open_bundle
from tais.attest.contents import digest_files, list_files, read_bytes, sha256
from tais.attest.keys import PublicKey
from tais.attest.statement import (
    LOCK_TYPE,
    RUN_TYPE,
    TEST_TYPE,
    Statement,
    lock_statement,
    parse_statement,
    run_statement,
    test_statement,
)
from tais.attest.timestamp import Authority, token_time
from tais.errors import Place, UsageError, VerificationError
from tais.rundir.layout import LOCK, LOCK_BUNDLE, REPORT, RUN_BUNDLE, TEST_BUNDLE
from tais.rundir.lock_model import Lock
from tais.scoring.locked_scorers import scorers_changed
from tais.verdict.report import Report

__all__ = ["TrustedTime", "VerifiedRun", "verify_run"]


@dataclass(frozen=True, slots=True)
class TrustedTime:
    """When the signatures were there, by the word of an authority that the verifier named."""

    lock: datetime
    run: datetime


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """A run whose signatures and digests hold; read nothing of it but what stands here."""

    run_dir: Path
    report: Report
    lock: Lock
    key: PublicKey
    signed_at: datetime
    """By the signer's clock, as `lock_signed_at` is: no third party vouches for it, see `time`."""
    lock_signed_at: datetime
    files: Mapping[str, str]
    """sha256 by name."""
    recomputed: bool
    """Whether the samples were shown to lead to the report."""
    not_compared: str = ""
    """What recomputing could not compare, and why."""
    time: TrustedTime | None = None
    """None where no authority was named, or lock and run do not both have a token."""
    tokens: int = 0
    """How many of lock and run have a token, checked or not."""

    def trusted_time(self) -> TrustedTime:
        """Return `time`; raises VerificationError where an authority was named and does not vouch for it."""
        if self.time is None:
            remedy = "Sign with --timestamp-url from the start: a signature is given its time when it is made"
            _fail("no time authority vouches for when lock and run were signed", self.run_dir, remedy)
        return self.time


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement whose signature holds, with the bytes of its bundle."""

    statement: Statement
    opened: Opened
    bundle: bytes

    @property
    def key(self) -> PublicKey:
        """Return the key whose signature holds."""
        return self.opened.key

    def time(self, file: str) -> datetime:
        """Return when the signer says that it was signed."""
        try:
            moment = datetime.fromisoformat(self.statement.predicate["signedAt"])
        except (LookupError, TypeError, ValueError) as error:
            raise VerificationError("the statement has no time of signing", place=Place(file)) from error
        if moment.tzinfo is None:
            raise VerificationError("the time of signing has no time zone", place=Place(file))
        return moment

    def trusted_time(self, authority: Authority, file: str) -> datetime | None:
        """Return when an authority says that the signature was there; None without a token."""
        token = self.opened.token
        return None if token is None else token_time(token, self.opened.signature, authority, file)


def verify_run(
    run_dir: Path,
    trusted_keys: Iterable[PublicKey],
    recompute: bool = False,
    authority: Authority | None = None,
) -> VerifiedRun:
    """Check a signed run.

    Parameters
    ----------
    run_dir
        Run directory; every file in it must be known to its attestation.
    trusted_keys
        Keys that the caller trusts. A key is never taken from the run.
    recompute
        Whether to score and decide again from the samples, and compare with the report. A run that other
        verdict rules decided is not: they would lead elsewhere, and that says nothing of the run.
    authority
        Whose word on time is taken: each token must be of this authority. None checks no token.

    Raises
    ------
    UsageError
        When there is no key to trust.
    VerificationError
        With the first thing that is wrong.
    """
    keys = tuple(trusted_keys)
    if not keys:
        raise UsageError(
            "no key is trusted",
            remedy="Name one: --trusted-key PUB.pem, the older --key PUB.pem or TAIS_TRUSTED_KEY",
        )
    names = list_files(run_dir)
    if not (run_dir / RUN_BUNDLE).exists():
        _fail("this run is not signed", run_dir, "Only a run made with a key can be verified")
    signed = _read(run_dir, RUN_BUNDLE, RUN_TYPE, keys)
    # Before anything is read: a file that nobody signed may be as large as its author likes.
    _check_names(run_dir, set(names), signed.statement)
    files = digest_files(run_dir)
    # One key for all three: whoever vouches for the run vouches for its lock.
    one = (signed.key,)
    locked = _read(run_dir, LOCK_BUNDLE, LOCK_TYPE, one)
    result = _read(run_dir, TEST_BUNDLE, TEST_TYPE, one)
    _check_files(run_dir, files, signed.statement)
    lock = signed_lock(_bytes(run_dir, LOCK, files), str(run_dir / LOCK))
    report = json_object(_bytes(run_dir, REPORT, files), run_dir, REPORT)
    # The report must be of the run that the lock was signed for.
    run_id = str(locked.statement.predicate.get("run"))
    read = check_together(lock, report, files, run_id)
    times = signed.time(RUN_BUNDLE), locked.time(LOCK_BUNDLE)
    if times[1] > times[0]:
        _fail("the lock was signed after the run", run_dir / LOCK_BUNDLE)
    time = _trusted_time(run_dir, locked, signed, authority) if authority is not None else None
    expected = {
        LOCK_BUNDLE: lock_statement(files, run_id, times[1]),
        RUN_BUNDLE: run_statement(files, lock, report, sha256(locked.bundle), times[0]),
        TEST_BUNDLE: test_statement(files, lock, report),
    }
    for name, got in ((LOCK_BUNDLE, locked), (RUN_BUNDLE, signed), (TEST_BUNDLE, result)):
        _check_statement(run_dir / name, got.statement, expected[name])
    changed = (lock.rules_changed or scorers_changed(lock)) if recompute else ""
    beside = ""
    if changed:
        beside = f"{changed}: authentic, not recomputed"
    elif recompute:
        from tais.attest.recompute import check_recomputed

        beside = check_recomputed(run_dir, lock, report, files)
    tokens = sum(one.opened.token is not None for one in (locked, signed))
    done = recompute and not changed
    return VerifiedRun(run_dir, read, lock, signed.key, *times, files, done, beside, time, tokens)


def _trusted_time(run_dir: Path, locked: _Read, signed: _Read, authority: Authority) -> TrustedTime | None:
    lock, run = (
        read.trusted_time(authority, str(run_dir / name))
        for read, name in ((locked, LOCK_BUNDLE), (signed, RUN_BUNDLE))
    )
    if lock is None or run is None:
        return None
    if lock > run:
        _fail("by the time authority, the lock was signed after the run", run_dir / LOCK_BUNDLE)
    return TrustedTime(lock, run)


def _read(run_dir: Path, name: str, kind: str, keys: tuple[PublicKey, ...]) -> _Read:
    where = str(run_dir / name)
    bundle = read_bytes(run_dir, name)
    opened = open_bundle(bundle, keys, where)
    return _Read(parse_statement(opened.payload, kind, where), opened, bundle)


def _signed_files(run_dir: Path, statement: Statement) -> dict[str, object]:
    """Return the digests of the files that a statement is about, by name."""
    try:
        pairs = [(s["name"], s["digest"].get("sha256")) for s in statement.subjects]
        return {name: digest for name, digest in pairs if not name.startswith("weights:")}
    except (LookupError, TypeError, AttributeError) as error:
        raise VerificationError(
            "the subjects are not what TAIS writes", place=Place(str(run_dir / RUN_BUNDLE))
        ) from error


def _check_names(run_dir: Path, names: Set[str], statement: Statement) -> None:
    signed = _signed_files(run_dir, statement).keys()
    _fail_for(run_dir, sorted(signed - names), "missing: it was signed and is not there")
    _fail_for(run_dir, sorted(names - signed), "not known: it was not there when the run was signed")


def _check_files(run_dir: Path, files: Mapping[str, str], statement: Statement) -> None:
    """Compare what lies there with what was signed."""
    _check_names(run_dir, files.keys(), statement)
    signed = _signed_files(run_dir, statement)
    _fail_for(run_dir, sorted(n for n in files if files[n] != signed[n]), "changed after signing")


def _fail_for(run_dir: Path, names: Sequence[str], what: str) -> None:
    if names:
        more = f" ({len(names) - 1} more such files)" if len(names) > 1 else ""
        _fail(f"{names[0]} is {what}" + more, run_dir)


def _check_statement(path: Path, got: Statement, expected: Statement) -> None:
    if got == expected:
        return
    parts = [key for key in expected.predicate if got.predicate.get(key) != expected.predicate[key]]
    if got.subjects != expected.subjects:
        parts.append("subjects")
    said = ", ".join(parts) or "fields that TAIS does not write"
    _fail(f"the statement is not about this run: {said} differ", path)


def _bytes(run_dir: Path, name: str, files: Mapping[str, str]) -> bytes:
    data = read_bytes(run_dir, name)
    if sha256(data) != files.get(name):
        _fail(f"{name} changed while it was read", run_dir)
    return data


def _fail(what: str, path: Path, remedy: str | None = None) -> NoReturn:
    raise VerificationError(what, place=Place(str(path)), remedy=remedy)
