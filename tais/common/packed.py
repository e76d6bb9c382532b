"""Packed files: opened as what is inside, by their last ending, and never more of it than a bound."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from tais.errors import ManifestError, Place

__all__ = ["MAX_UNPACKED", "PACKED", "UNREADABLE", "open_unpacked", "unpacked_name"]

MAX_UNPACKED = 1 << 31
"""Bytes: a few kilobytes of gzip can hold a terabyte of zeros."""

PACKED: Mapping[str, Callable[[Path], bz2.BZ2File | gzip.GzipFile | lzma.LZMAFile]] = {
    ".bz2": bz2.BZ2File,
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
}
"""What opens a file, by its last ending. All of the standard library."""

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a packed file raises where it is damaged or cut short."""


def unpacked_name(path: Path) -> Path:
    """Return the path without an ending that only says how it is packed."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file as what is inside it: itself, where it is not packed.

    Raises
    ------
    ManifestError
        When more than :data:`MAX_UNPACKED` bytes are inside.
    OSError, EOFError, zlib.error, lzma.LZMAError
        When it cannot be read, see :data:`UNREADABLE`.
    """
    opener = PACKED.get(path.suffix.lower())
    if opener is None:
        return path.open("rb")
    with opener(path) as inside:
        data = inside.read(MAX_UNPACKED + 1)
    if len(data) > MAX_UNPACKED:
        what = f"more than {MAX_UNPACKED >> 20} MiB are packed in this file"
        raise ManifestError(what, place=Place(str(path)), remedy="Unpack it, and check what it is")
    return io.BytesIO(data)
