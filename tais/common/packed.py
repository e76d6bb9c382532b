"""Packed files: opened as what is inside, by their last ending, and never more of it than a bound."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tais.common.text import first_line
from tais.errors import ManifestError, Place

if TYPE_CHECKING:
    import zipfile

    from _typeshed import WriteableBuffer

# Python reads zstd from 3.14 on; before, the same code comes as a package.
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "LONGEST_LINE",
    "MAX_UNPACKED",
    "PACKED",
    "UNREADABLE",
    "open_unpacked",
    "open_zip",
    "read_bounded",
    "remedy_for",
    "stream_unpacked",
    "unpacked_name",
]

MAX_UNPACKED = 1 << 31
"""Bytes: a few kilobytes of gzip can hold a terabyte of zeros."""

LONGEST_LINE = 1 << 28
"""Bytes of one line; a long conversation with its events has some millions."""

PACKED: Mapping[str, Callable[[Path], io.BufferedIOBase]] = {
    ".bz2": bz2.BZ2File,
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".zst": zstd.ZstdFile,
}
"""What opens a file, by its last ending."""

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)
"""What reading a packed file raises where it is damaged or cut short."""


def remedy_for(error: BaseException) -> str:
    """Return what to do about a file that could not be read: no system's error is one of what it holds."""
    return "Check the path" if getattr(error, "errno", None) else "It is cut or damaged: fetch it again"


def unpacked_name(path: Path) -> Path:
    """Return the path without an ending that only says how it is packed."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file as what is inside it, held in memory where it is packed.

    Raises
    ------
    ManifestError
        When more than :data:`MAX_UNPACKED` bytes are inside.
    OSError, EOFError, zlib.error, lzma.LZMAError, ZstdError
        When it cannot be read, see :data:`UNREADABLE`.
    """
    opener = PACKED.get(path.suffix.lower())
    if opener is None:
        return path.open("rb")
    with opener(path) as inside:
        data = inside.read(MAX_UNPACKED + 1)
    if len(data) > MAX_UNPACKED:
        raise _too_much(path, MAX_UNPACKED)
    return io.BytesIO(data)


def stream_unpacked(path: Path) -> BinaryIO:
    """Open a file as what is inside it, unpacked while it is read.

    Raises
    ------
    OSError
        When it cannot be opened, or is damaged. Reading raises ManifestError where more than
        :data:`MAX_UNPACKED` bytes are inside.
    """
    opener = PACKED.get(path.suffix.lower())
    if opener is None:
        return path.open("rb")
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path, opener(path)), 1 << 16))


def read_bounded(path: Path) -> bytes:
    """Return all that is inside a file.

    Raises
    ------
    ManifestError
        When that is more than :data:`MAX_UNPACKED` bytes.
    """
    with stream_unpacked(path) as file:
        data = file.read(MAX_UNPACKED + 1)
    if len(data) > MAX_UNPACKED:
        raise _too_much(path, MAX_UNPACKED)
    return data


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive, whose members may be compressed with zstd on every Python."""
    if sys.version_info >= (3, 14):
        import zipfile

        return zipfile.ZipFile(path)
    from backports.zstd import zipfile as with_zstd

    return cast("zipfile.ZipFile", with_zstd.ZipFile(path))


class _Unpacked(io.RawIOBase):
    """Bytes of a packed file, as many as may be."""

    def __init__(self, path: Path, inside: io.BufferedIOBase) -> None:
        self._path, self._inside = path, inside
        self._left = MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._inside.read(len(view))
        except UNREADABLE as error:
            raise OSError(f"broken packed file: {first_line(error).rstrip('.')}") from error
        view[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise _too_much(self._path, MAX_UNPACKED)
        return len(data)

    def close(self) -> None:
        self._inside.close()
        super().close()


def _too_much(path: Path, most: int) -> ManifestError:
    what = f"more than {most >> 20} MiB are packed in this file"
    return ManifestError(what, place=Place(str(path)), remedy="Unpack it, and check what it is")
