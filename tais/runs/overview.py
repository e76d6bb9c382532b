"""What one page over many runs shows: each run, and how the rates of its endpoints moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tais.common.files import read_ordinary
from tais.errors import Place, StoreError, UsageError
from tais.manifest.model import Role
from tais.report.html.overview import Overview, OverviewRun, Point, Series
from tais.report.render import FILES
from tais.rundir.layout import RunDir, run_around
from tais.runs.listing import ListedRun, list_runs
from tais.verdict.report import Report, Verdict

__all__ = ["overview"]


def overview(folder: Path, page: Path) -> Overview:
    """Return the runs of a folder and the series of their endpoints, oldest first.

    Parameters
    ----------
    folder
        Where runs lie.
    page
        Folder of the page, from which its links lead.

    Raises
    ------
    UsageError
        When there is no such folder, or it is itself a run: a page in it would be no file of the run's.
    """
    for taken in (folder, page):
        if run_around(taken) is not None:
            remedy = "Name the folder above it, or another --out"
            raise UsageError(
                "this is a run, which takes no further file", place=Place(str(taken)), remedy=remedy
            )
    series: dict[tuple[str, str, str, str], list[Point]] = {}
    runs = []
    for listed in list_runs(folder):
        own = Path(listed.path) / FILES["html"]
        href = os.path.relpath(own, page) if own.is_file() else None
        date, verdict = listed.date, Verdict(listed.verdict) if listed.verdict else None
        key = listed.key or ("signed" if listed.signed else None)
        said = (listed.contrasts, key, listed.problem, href)
        runs.append(OverviewRun(listed.name or "-", listed.run, date, verdict, *said))
        if listed.verdict is not None:
            for endpoint, point in _points(listed):
                series.setdefault(endpoint, []).append(point)
    return Overview(
        str(folder), tuple(runs), tuple(Series(*key, tuple(seen)) for key, seen in series.items())
    )


def _points(listed: ListedRun) -> Iterator[tuple[tuple[str, str, str, str], Point]]:
    report = _report(listed)
    for contrast in report.contrasts if report else ():
        if contrast.role is not Role.screen:
            continue
        for e in contrast.endpoints:
            key = (listed.name or "", contrast.reference, contrast.candidate, f"{e.key.label} / {e.scorer}")
            reference, candidate = (
                (e.reference_rate, e.reference_wilson),
                (e.candidate_rate, e.candidate_wilson),
            )
            yield key, Point(listed.run, listed.date, e.verdict, e.clusters, *reference, *candidate)


def _report(listed: ListedRun) -> Report | None:
    path = RunDir(Path(listed.path)).report
    try:
        return Report.parse(read_ordinary(path), str(path))
    except (OSError, StoreError):
        # The list says that it has a verdict; what cannot be read beside it is left out of the series.
        return None
