"""Every failure that a user can meet.

::

    TaisError                 4  a run failed
    ├── UsageError            2  wrong command line
    ├── ManifestError         2  a manifest, battery or policy that cannot be used
    │   └── MissingData       2  a data set that is not at hand
    ├── EngineError           4  an arm's engine refused, died, hung or ran out of memory
    ├── StoreError            4  the run directory cannot be read or written
    ├── VerificationError     5  a signature, digest or recomputed verdict does not hold
    └── Interrupted         130  Ctrl-C

One root; the subclass carries the exit code, the instance carries the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "EngineError",
    "Interrupted",
    "ManifestError",
    "MissingData",
    "Place",
    "StoreError",
    "TaisError",
    "UsageError",
    "VerificationError",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something went wrong: file, line (1-based) and key, as far as they are known."""

    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        """Return ``key (file:line)`` with the unknown parts left out."""
        where = self.file or ""
        if where and self.line is not None:
            where = f"{where}:{self.line}"
        if self.key and where:
            return f"{self.key} ({where})"
        return self.key or where


class TaisError(Exception):
    """Root of all failures that TAIS reports.

    Parameters
    ----------
    what
        What happened, one line, without a full stop.
    place
        Where it happened.
    remedy
        What to do about it, one line.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, what: str, *, place: Place | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        """Return place, what and remedy on one line."""
        text = f"{self.place}: {self.what}" if self.place and str(self.place) else self.what
        return f"{text.removesuffix('.')}. {self.remedy}" if self.remedy else text


class UsageError(TaisError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ManifestError(TaisError):
    """A manifest, battery or policy file cannot be used."""

    exit_code = 2


class MissingData(ManifestError):
    """The data of a battery is not at hand: no such file here, or the hub does not give it."""


class EngineError(TaisError):
    """An arm's engine refused its configuration, died, hung or ran out of memory."""

    exit_code = 4


class StoreError(TaisError):
    """The run directory cannot be read or written."""

    exit_code = 4


class VerificationError(TaisError):
    """A signature, a digest or a recomputed verdict does not hold."""

    exit_code = 5


class Interrupted(TaisError):
    """The user stopped the run."""

    exit_code = 130
