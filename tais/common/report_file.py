"""report.json of a run directory that may come from anybody, read into the model that the caller has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tais.common.files import read_ordinary, store_error
from tais.errors import Place, StoreError

__all__ = ["read_report"]

T = TypeVar("T")


def read_report(path: Path, read: Callable[[bytes], T]) -> T:
    """Return what a reader makes of a report.

    Parameters
    ----------
    path
        The file.
    read
        Raises ValueError for what is no report.

    Raises
    ------
    StoreError
        When it cannot be read, or is damaged.
    """
    try:
        return read(read_ordinary(path))
    except OSError as error:
        raise store_error(error, path) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        remedy = "Take it from its backup; or remove it and continue with --resume, which makes it again"
        raise StoreError("this report is damaged", place=Place(file=str(path)), remedy=remedy) from error
