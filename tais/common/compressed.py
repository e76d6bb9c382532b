"""Files that may be compressed (``.gz``, ``.zst``), read within bounds: a small one can hold terabytes."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from tais.common.text import first_line
from tais.errors import ManifestError, Place

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["COMPRESSED", "LONGEST_LINE", "inner_suffix", "open_binary", "open_zip", "read_bounded"]

COMPRESSED = (".gz", ".zst")
"""Endings of what is unpacked while it is read."""

LONGEST_LINE = 1 << 28
"""Bytes of one line; a long conversation with its events has some millions."""

# Python reads zstd from 3.14 on; before, the same code comes as a package.
_ZSTD = "compression" if sys.version_info >= (3, 14) else "backports"
# What one read may hold in memory, and what a stream may come to in all.
_AT_ONCE = 1 << 30
_IN_ALL = 1 << 35
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)


def inner_suffix(path: Path) -> str:
    """Return the ending of a file, that of a compression left out: ``.jsonl`` of ``a.jsonl.gz``."""
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading; what its ending calls compressed is unpacked while it is read.

    Raises
    ------
    OSError
        When it cannot be opened.
    """
    kind = path.suffix.lower()
    if kind not in COMPRESSED:
        return path.open("rb")
    return io.BufferedReader(_Unpacked(path, kind), 1 << 16)


def read_bounded(path: Path, most: int = _AT_ONCE) -> bytes:
    """Return all that a file holds, unpacked.

    Raises
    ------
    ManifestError
        When that is more than `most` bytes.
    """
    with open_binary(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise _too_much(path, most)
    return data


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive, whose members may be compressed with zstd on every Python."""
    if sys.version_info >= (3, 14):
        return zipfile.ZipFile(path)
    opened: zipfile.ZipFile = importlib.import_module("backports.zstd.zipfile").ZipFile(path)
    return opened


class _Unpacked(io.RawIOBase):
    """Bytes of a compressed file, as many as may be."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        module = importlib.import_module(f"{_ZSTD}.zstd")
        opener: Callable[[Path], IO[bytes]] = _gzip if kind == ".gz" else module.open
        self._file = opener(path)
        self._damage = (*_DAMAGE, module.ZstdError)
        self._left = _IN_ALL

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(len(view))
        except self._damage as error:
            what = f"broken compressed file: {first_line(error).rstrip('.')}"
            raise ManifestError(what, place=Place(str(self._path)), remedy="Fetch the file again") from error
        view[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise _too_much(self._path, _IN_ALL)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _gzip(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path))


def _too_much(path: Path, most: int) -> ManifestError:
    what = f"the file unpacks to more than {most >> 20} MiB"
    return ManifestError(what, place=Place(str(path)), remedy="Split it into smaller files")
