"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tais.errors import Place, StoreError

__all__ = [
    "atomic_folder",
    "atomic_path",
    "canonical_json",
    "json_digest",
    "open_ordinary",
    "read_ordinary",
    "remove_leftovers",
    "sha256_file",
    "store_error",
    "sync_directory",
    "temporary_path",
    "write_atomic",
]

_CHUNK = 1 << 20
# Far beyond any JSON that TAIS writes; a file that goes on for ever must not take the memory along.
_MOST_BYTES = 256 << 20
_LEFTOVER = re.compile(r"\.[A-Za-z0-9._-]+\.\d+(\.tmp)?", re.ASCII)


def store_error(error: OSError, path: Path) -> StoreError:
    """Turn an `OSError` on `path` into a failure that says what to do."""
    remedies = {
        errno.ENOSPC: "Free some space, then continue with --resume",
        errno.EDQUOT: "Free some of your quota, then continue with --resume",
        errno.EACCES: "Choose a directory that you may write to with --out",
        errno.EPERM: "Choose a directory that you may write to with --out",
        errno.EROFS: "Choose a directory that you may write to with --out",
        errno.ENOTDIR: "Choose another directory with --out",
    }
    reason = (error.strerror or str(error)).lower()
    return StoreError(reason, place=Place(file=str(path)), remedy=remedies.get(error.errno or 0))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path` so that a reader sees all of it or nothing, also after a power cut.

    Raises
    ------
    StoreError
        When the directory is missing, full or not writable.
    """
    try:
        with atomic_path(path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
    except OSError as error:
        raise store_error(error, path) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a name to write under; the file takes the name `path` when all went well and vanishes otherwise.

    What was written is on the disk before it takes its name. An OSError of the block passes through.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes the name `path` when all went well and vanishes otherwise."""
    temporary = temporary_path(path)
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_path(path: Path) -> Path:
    """Return where `path` is written before it takes its name; `remove_leftovers` knows the form."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_leftovers(run_dir: Path) -> None:
    """Remove what a write that was killed left behind; it is no part of the run."""
    for path in list(run_dir.rglob(".*")):
        if _LEFTOVER.fullmatch(path.name) and not path.is_symlink():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file():
                path.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make the renames in `directory` durable."""
    _sync(directory)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def open_ordinary(path: Path) -> int:
    """Open a file for reading that somebody else may have put there, and return its descriptor.

    Raises
    ------
    OSError
        When it is missing, a link, or no ordinary file: reading a pipe could wait for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _no_ordinary_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_ordinary_file(path)
    return descriptor


def _no_ordinary_file(path: Path) -> OSError:
    what = "a link or special file, and a run directory holds ordinary files only"
    return OSError(errno.EINVAL, what, str(path))


def read_ordinary(path: Path) -> bytes:
    """Return the bytes of an ordinary file of bounded size.

    Raises
    ------
    OSError
        As :func:`open_ordinary`; also when it is too large for what TAIS writes.
    """
    with os.fdopen(open_ordinary(path), "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {_MOST_BYTES >> 20} MiB", str(path))
    return data


def canonical_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys and no spaces, for digests."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def json_digest(value: object) -> str:
    """Return the hexadecimal sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
