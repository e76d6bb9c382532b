"""The files of a run directory: which there are, that each is an ordinary one, and their digests."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from tais.common.files import open_ordinary, read_ordinary
from tais.errors import Place, VerificationError
from tais.rundir.layout import BUNDLES

__all__ = ["digest_files", "list_files", "read_bytes", "sha256"]

# What TAIS writes needs no other characters; a name that hides or leads elsewhere is none of its own.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}", re.ASCII)
_MAY_BE_EMPTY = {"arms", "logs"}
_MAX_DEPTH = 6
_CHUNK = 1 << 20


def sha256(data: bytes) -> str:
    """Return the hexadecimal sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_files(run_dir: Path) -> dict[str, str]:
    """Return the sha256 (hex) of every file but the bundles, by relative POSIX path, sorted.

    Raises as :func:`list_files`.
    """
    return {name: _digest(run_dir / name) for name in list_files(run_dir)}


def list_files(run_dir: Path) -> list[str]:
    """Return every file but the bundles, as relative POSIX paths, sorted; none is opened.

    Raises
    ------
    VerificationError
        For a link, a hidden or special file, an empty directory, a name that TAIS would not write.
    """
    if not run_dir.is_dir():
        raise VerificationError("there is no such run directory", place=Place(str(run_dir)))
    return [name for name in sorted(_walk(run_dir, run_dir, 0)) if name not in BUNDLES]


def read_bytes(run_dir: Path, name: str, remedy: str | None = None) -> bytes:
    """Return the bytes of one file, which must be an ordinary one.

    Raises
    ------
    VerificationError
        When it is missing, a link or not readable.
    """
    path = run_dir / name
    try:
        return read_ordinary(path)
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise VerificationError(f"{name} {what}", place=Place(str(run_dir)), remedy=remedy) from error


def _walk(folder: Path, root: Path, depth: int) -> list[str]:
    found: list[str] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise _refused("this directory cannot be read", folder) from error
    for entry in entries:
        path = folder / entry.name
        name = path.relative_to(root).as_posix()
        if not _PART.fullmatch(entry.name):
            raise _refused("a hidden file, or a name that TAIS does not write", path)
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            inner = _walk(path, root, depth + 1) if depth < _MAX_DEPTH else []
            if not inner and name not in _MAY_BE_EMPTY:
                raise _refused("a directory with nothing that TAIS wrote", path)
            found += inner
        elif stat.S_ISREG(mode):
            found.append(name)
        else:
            raise _refused("a link or special file; a run directory holds ordinary files only", path)
    return found


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        # The path may have become a link since it was listed.
        with os.fdopen(open_ordinary(path), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise _refused("this file cannot be read", path) from error
    return digest.hexdigest()


def _refused(what: str, path: Path) -> VerificationError:
    remedy = "Verify the directory as `tais run` wrote it"
    return VerificationError(what, place=Place(repr(str(path))[1:-1]), remedy=remedy)
