"""One process at a time in a run directory."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tais.errors import Place, StoreError
from tais.rundir.layout import RunDir

__all__ = ["RunGuard"]


class RunGuard:
    """Keeps two processes out of one run directory; the kernel releases it whatever happens."""

    def __init__(self, run_dir: Path) -> None:
        self._path = RunDir(run_dir).lock

    def __enter__(self) -> None:
        """Take the directory.

        Raises
        ------
        StoreError
            When another process has it.
        """
        self._file = self._path.open("rb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise StoreError(
                "another process is running this screen",
                place=Place(file=str(self._path.parent)),
                remedy="Wait for it, or stop it",
            ) from error

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._file.close()
