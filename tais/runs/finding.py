"""Which run is meant: a run directory itself, or the newest finished one below a folder."""

from __future__ import annotations

from pathlib import Path

from tais.errors import Place, UsageError
from tais.rundir.layout import ARMS, ITEMS, LOCK, REPORT, RUN_BUNDLE
from tais.runs.listing import run_dirs, started

__all__ = ["LATEST", "find_run"]

LATEST = "latest"
# A folder that holds one of these is a run, or what is left of one, and is judged as such.
_OWN = (LOCK, REPORT, RUN_BUNDLE, ITEMS, ARMS)


def find_run(named: Path, out: Path) -> Path:
    """Return the run directory that a command line means.

    Parameters
    ----------
    named
        A run directory; or a folder with runs in it or below it, of which the newest finished one is taken;
        or ``latest``, which is the newest finished one below `out`.
    out
        Where runs go.

    Returns
    -------
    Path
        The run directory. A path that is neither is returned as it is: who opens it says what is wrong.

    Raises
    ------
    UsageError
        When no run of the folder is finished.
    """
    folder = out if str(named) == LATEST and not named.exists() else named
    if any((folder / part).exists() for part in _OWN):
        return folder
    found = list(run_dirs(folder))
    finished = [run for run in found if (run / REPORT).is_file()]
    if finished:
        return max(finished, key=lambda run: (started(run), run))
    if found or folder is out:
        what = f"no finished run below this folder, {len(found)} unfinished" if found else "no run here"
        remedy = "Finish one with tais run --resume, or name a run directory"
        raise UsageError(what, place=Place(str(folder)), remedy=remedy)
    return folder
