"""Run a study: its manifests one after the other, each an ordinary run, and the report over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tais.common.files import store_error, write_atomic
from tais.errors import EngineError, Interrupted, Place, StoreError, TaisError
from tais.plan.plan import make_plan, require_engines
from tais.rundir.layout import LOCK
from tais.runs.observer import Observer
from tais.runs.options import RunOptions
from tais.runs.run import run
from tais.study.definition import Study
from tais.study.report import StudyReport, StudyRun
from tais.study.summary import read_run, summarise

__all__ = ["STUDY_FILES", "StudyOutcome", "run_study", "write_study"]

STUDY_FILES = ("study.json", "study.md", "study.html")


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """What a study came to."""

    report: StudyReport
    folder: Path
    """Where its three files lie."""


def run_study(study: Study, options: RunOptions, observer: Observer) -> StudyOutcome:
    """Run the manifests of a study in order, and write its report after each.

    Parameters
    ----------
    study
        A folder of manifests.
    options
        Of every run. With `resume` a run that is finished is taken as it is, one that was begun goes on,
        and one that is missing starts.
    observer
        Who watches.

    Returns
    -------
    StudyOutcome
        A run that failed has its error in the report; the others ran all the same.

    Raises
    ------
    ManifestError
        Before the first arm runs: a manifest, a battery or an engine that cannot be used.
    UsageError
        A run that cannot be resumed because its manifest changed.
    Interrupted
        The user stopped it; what is finished is stored and in the report.
    """
    for path in study.manifests.values():
        require_engines(make_plan(path, options.limit))
    runs = [StudyRun(manifest=stem, name=name, run=None, verdict=None) for stem, name in study.names.items()]
    folder = options.out / study.definition.name
    for index, (stem, path) in enumerate(study.manifests.items()):
        observer.note(f"{index + 1} of {len(runs)}: {study.names[stem]}")
        try:
            runs[index] = _run(stem, study.names[stem], path, options, observer)
        except Interrupted as error:
            write_study(summarise(study, runs), folder)
            remedy = "Continue with --resume"
            raise Interrupted(
                "stopped; what is finished is stored", place=Place(file=str(folder)), remedy=remedy
            ) from error
        write_study(summarise(study, runs), folder)
    return StudyOutcome(summarise(study, runs), folder)


def _run(stem: str, name: str, path: Path, options: RunOptions, observer: Observer) -> StudyRun:
    begun = any((options.out / name).glob(f"*/{LOCK}"))
    try:
        outcome = run(path, replace(options, resume=options.resume and begun), observer)
        return read_run(stem, outcome.run_dir)
    except (EngineError, StoreError) as error:
        observer.note(f"{name} failed: {error}")
        return _failed(stem, name, error)


def _failed(stem: str, name: str, error: TaisError) -> StudyRun:
    said = " ".join(str(error).split())
    return StudyRun(
        manifest=stem, name=name, run=None, verdict=None, error=said[:500], exit_code=error.exit_code
    )


def write_study(report: StudyReport, folder: Path) -> None:
    """Write study.json, study.md and study.html.

    Raises
    ------
    StoreError
        When a file cannot be written.
    """
    from tais.study.html import render_study_html
    from tais.study.markdown import render_study_markdown

    texts: Sequence[str] = (report.to_json(), render_study_markdown(report), render_study_html(report))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise store_error(error, folder) from error
    for name, text in zip(STUDY_FILES, texts, strict=True):
        write_atomic(folder / name, text.encode())
