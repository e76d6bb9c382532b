"""From the report.json of each run to the report of the study: a pure function, nothing is decided anew."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tais.common.version import __version__
from tais.errors import Place, StoreError
from tais.report.wording import NONE, is_ratio, percent, unsafe_ratio
from tais.rundir.layout import RUN_BUNDLE, RunDir
from tais.study.definition import Question, Study
from tais.study.report import StudyContrast, StudyReport, StudyRow, StudyRun
from tais.verdict.details import detail
from tais.verdict.details.audit import Audit
from tais.verdict.report import ContrastReport, Report, Verdict

__all__ = ["NOT_RUN", "exit_code_of", "read_run", "summarise"]

NOT_RUN = "not run"

# The worst first: a fail stays a fail, whatever else could not be run.
_WORST_CODES = (130, 1, 4, 3, 0)
_WORST = (Verdict.failed, Verdict.inconclusive, Verdict.passed)


def exit_code_of(runs: Iterable[StudyRun]) -> int:
    """Return the worst exit code; a manifest without a run counts as one that failed."""
    codes = {4 if run.exit_code is None else run.exit_code for run in runs}
    return next((code for code in _WORST_CODES if code in codes), max(codes, default=4))


def read_run(manifest: str, run_dir: Path) -> StudyRun:
    """Return what a finished run says.

    Parameters
    ----------
    manifest
        Name of its manifest within the study.
    run_dir
        The run directory.

    Raises
    ------
    StoreError
        When its report is missing or damaged.
    """
    run = RunDir(run_dir)
    path = run.report
    try:
        raw = path.read_bytes()
        report = Report.model_validate_json(raw)
    except (OSError, ValueError) as error:
        what = "the report of this run is missing or damaged"
        remedy = "Run its manifest again"
        raise StoreError(what, place=Place(str(path)), remedy=remedy) from error
    arms = report.facts.arms.values()
    return StudyRun(
        manifest=manifest,
        name=report.name,
        run=run_dir.name,
        verdict=report.verdict,
        exit_code=report.exit_code,
        lock_sha256=report.facts.lock.sha256,
        report_sha256=hashlib.sha256(raw).hexdigest(),
        signed=run.bundles[RUN_BUNDLE].is_file(),
        arms=len(arms),
        samples=sum(arm.samples for arm in arms),
        contrasts=tuple(_study_contrast(contrast) for contrast in report.contrasts),
    )


def _study_contrast(contrast: ContrastReport) -> StudyContrast:
    differing = [e for e in contrast.endpoints if e.difference is not None and not is_ratio(e)]
    largest = max(differing, key=lambda e: abs(e.difference or 0.0), default=None)
    ratios = [(unsafe_ratio(e), e) for e in contrast.endpoints if is_ratio(e)]
    ratio, of = max(
        ((r, e) for r, e in ratios if r), key=lambda pair: abs(math.log(pair[0])), default=(None, None)
    )
    audit = detail(contrast, Audit)
    scored = audit.batteries if audit is not None else ()
    whole = contrast.evidence == "teacher_forced"
    return StudyContrast(
        reference=contrast.reference,
        candidate=contrast.candidate,
        role=contrast.role,
        lossless=contrast.lossless,
        evidence=contrast.evidence,
        verdict=contrast.verdict,
        n=contrast.identity.n,
        identical=contrast.identity.identical,
        identical_wilson=contrast.identity.wilson,
        endpoints=len(contrast.endpoints),
        equivalent=sum(e.tost is not None and e.tost.equivalent for e in contrast.endpoints),
        passed=sum(e.verdict is Verdict.passed for e in contrast.endpoints),
        largest_difference=None if largest is None else largest.difference,
        largest_difference_of=None if largest is None else f"{largest.key.label} / {largest.scorer}",
        largest_ratio=ratio,
        largest_ratio_of=None if of is None else f"{of.key.label} / {of.scorer}",
        largest_h=max((abs(e.cohens_h) for e in contrast.endpoints if e.cohens_h is not None), default=None),
        draft_tokens=contrast.treatment.draft_tokens,
        accepted_tokens=contrast.treatment.accepted_tokens,
        answers_scored=sum(b.items for b in scored) if whole else None,
        answers_beyond=sum(b.items_beyond for b in scored) if whole else None,
        bound=max((b.bound for b in scored if b.bound is not None), default=None) if whole else None,
    )


def summarise(study: Study, runs: Sequence[StudyRun]) -> StudyReport:
    """Return the report of a study.

    Parameters
    ----------
    study
        Its definition.
    runs
        One per manifest, in order; without a run id where none has finished.
    """
    by_manifest = {run.manifest: run for run in runs}
    verdicts = [run.verdict for run in runs]
    return StudyReport(
        name=study.definition.name,
        title=study.definition.title,
        source=study.definition.source,
        verdict=None if None in verdicts else _worst(v for v in verdicts if v is not None),
        exit_code=exit_code_of(runs),
        tais=__version__,
        rows=tuple(_row(question, by_manifest) for question in study.definition.questions),
        runs=tuple(runs),
    )


def _row(question: Question, runs: Mapping[str, StudyRun]) -> StudyRow:
    found: list[StudyContrast] = []
    said, missing = [], 0
    for selection in question.contrasts:
        run = runs[selection.manifest]
        there = {(c.reference, c.candidate): c for c in run.contrasts}
        for candidate in selection.candidates:
            said.append(f"{run.name}: {candidate} against {selection.reference}")
            contrast = there.get((selection.reference, candidate))
            if contrast is None:
                missing += 1
            else:
                found.append(contrast)
    ours = _SHOWN[question.show](found) if found else NOT_RUN
    if missing and found:
        ours += f" ({missing} of {missing + len(found)} contrasts {NOT_RUN})"
    return StudyRow(
        question=question.question,
        published=question.published,
        source=question.source,
        remark=question.remark,
        ours=ours,
        verdict=None if missing else _verdict(question, found),
        contrasts=tuple(said),
    )


def _verdict(question: Question, contrasts: Sequence[StudyContrast]) -> Verdict | None:
    if question.show != "caught":
        return _worst(contrast.verdict for contrast in contrasts)
    # A control that fails is what is wanted; one that does not leaves open what a screen could have seen.
    seen = all(contrast.verdict is Verdict.failed for contrast in contrasts)
    return Verdict.passed if seen else Verdict.inconclusive


def _worst(verdicts: Iterable[Verdict]) -> Verdict | None:
    there = set(verdicts)
    return next((verdict for verdict in _WORST if verdict in there), None)


def _identity(contrasts: Sequence[StudyContrast]) -> str:
    compared = [c for c in contrasts if c.n]
    if not compared:
        return NONE
    same, n = sum(c.identical for c in compared), sum(c.n for c in compared)
    said = f"{_share(same / n)} identical ({same:,} of {n:,})"
    if len(compared) == 1 or same == n:
        return said
    return f"{said}, lowest {_share(min(c.identical / c.n for c in compared))}"


def _share(value: float) -> str:
    """Return a share in percent, cut and not rounded: one answer that differs does not read as 100 %."""
    return f"{int(10000 * value + 1e-9) / 100:.2f} %"


def _equivalence(contrasts: Sequence[StudyContrast]) -> str:
    within, of = sum(c.equivalent for c in contrasts), sum(c.endpoints for c in contrasts)
    return f"{within} of {of} endpoints within the margin" if of else NONE


def _effect(contrasts: Sequence[StudyContrast]) -> str:
    sizes = [c.largest_h for c in contrasts if c.largest_h is not None]
    return f"largest |h| {max(sizes):.3f}" if sizes else NONE


def _caught(contrasts: Sequence[StudyContrast]) -> str:
    caught = sum(c.verdict is Verdict.failed for c in contrasts)
    return f"{caught} of {len(contrasts)} caught"


def _audit(contrasts: Sequence[StudyContrast]) -> str:
    scored = sum(c.answers_scored or 0 for c in contrasts)
    if not scored:
        return NONE
    beyond = sum(c.answers_beyond or 0 for c in contrasts)
    bounds = [c.bound for c in contrasts if c.bound is not None]
    at_most = f", at most {percent(max(bounds), 2)} in any battery" if bounds else ""
    return f"{beyond:,} of {scored:,} answers with a token that is not the target's{at_most}"


def _acceptance(contrasts: Sequence[StudyContrast]) -> str:
    drafted = sum(c.draft_tokens or 0 for c in contrasts)
    accepted = sum(c.accepted_tokens or 0 for c in contrasts)
    return f"{percent(accepted / drafted)} of {drafted:,} drafted tokens accepted" if drafted else NONE


_SHOWN = {
    "identity": _identity,
    "equivalence": _equivalence,
    "effect": _effect,
    "caught": _caught,
    "audit": _audit,
    "acceptance": _acceptance,
}
