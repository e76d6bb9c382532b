"""What a run takes over of another: files that the layout knows, copied as bytes.

The other run may come from anybody. Links are never followed and special files refused, so that nothing
from outside its directory gets into a run that is then signed; files of other names stay behind.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

from tais.common.files import open_ordinary, store_error
from tais.errors import Place, StoreError

__all__ = ["copy_file", "copy_folder"]

_FILE = re.compile(
    r"part-\d{5}\.parquet|(items|worklist)\.parquet|(engine|origin|unavailable)\.json", re.ASCII
)
"""What TAIS writes into the folder of an arm, a judge, an audit's stack or a set of probes."""
_FOLDER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)
_MAX_DEPTH = 3
_REMEDY = "Take the run directory as `tais run` wrote it"


def copy_file(root: Path, source: Path, target: Path) -> None:
    """Copy one file of a run directory.

    Parameters
    ----------
    root
        The run directory.
    source
        A file below it.
    target
        Where it goes; its folder exists.

    Raises
    ------
    StoreError
        When it cannot be read or written, is no ordinary file, or a folder on the way to it is a link.
    """
    _check_way(root, source.parent)
    _copy(source, target)


def copy_folder(root: Path, source: Path, target: Path) -> None:
    """Copy a folder of a run directory, with what the layout knows in it.

    Parameters
    ----------
    root
        The run directory.
    source
        A folder below it.
    target
        Where it goes; made where it is missing.

    Raises
    ------
    StoreError
        As :func:`copy_file`.
    """
    _check_way(root, source)
    _copy_known(source, target, 0)


def _copy_known(source: Path, target: Path, depth: int) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        entries = sorted(os.scandir(source), key=lambda entry: entry.name)
    except OSError as error:
        raise store_error(error, source) from error
    for entry in entries:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if depth < _MAX_DEPTH and _FOLDER.fullmatch(entry.name):
                _copy_known(source / entry.name, target / entry.name, depth + 1)
        elif not stat.S_ISREG(mode):
            raise _refused(source / entry.name)
        elif _FILE.fullmatch(entry.name):
            _copy(source / entry.name, target / entry.name)


def _copy(source: Path, target: Path) -> None:
    try:
        with os.fdopen(open_ordinary(source), "rb") as read, target.open("wb") as write:
            shutil.copyfileobj(read, write, 1 << 20)
    except OSError as error:
        raise store_error(error, source) from error


def _check_way(root: Path, folder: Path) -> None:
    """Raise StoreError where a folder between a run directory and a file in it is a link."""
    way = root
    for part in folder.relative_to(root).parts:
        way = way / part
        _check_folder(way)


def _check_folder(folder: Path) -> None:
    try:
        mode = folder.lstat().st_mode
    except OSError as error:
        raise store_error(error, folder) from error
    if not stat.S_ISDIR(mode):
        raise _refused(folder)


def _refused(path: Path) -> StoreError:
    what = "a link or special file, and a run directory holds ordinary files only"
    return StoreError(what, place=Place(str(path)), remedy=_REMEDY)
