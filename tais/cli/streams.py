"""Standard streams that may be closed, full, or read by nobody: a command goes on, its exit code holds."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["keep_streams"]


class _Kept(io.FileIO):
    """Writes as long as somebody takes it."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            # A pipe without a reader, a full disk: nobody is left to tell.
            return memoryview(data).nbytes


def keep_streams() -> None:
    """Put streams that never fail in the place of standard output and error.

    A descriptor that is closed is opened on nothing first: the next file that is opened would get its
    number, and all that is printed.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout, sys.stderr = _kept(1, sys.stdout), _kept(2, sys.stderr)


def _kept(number: int, before: object) -> io.TextIOWrapper:
    told = before if isinstance(before, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(_Kept(number, "w", closefd=False)),
        encoding=told.encoding if told else "utf-8",
        errors=(told.errors if told else None) or "backslashreplace",
        line_buffering=number == 2 or os.isatty(number),
    )
