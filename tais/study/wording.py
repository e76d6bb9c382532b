"""Words that all views of a study share."""

from __future__ import annotations

from tais.report.wording import NONE, ROLES, percent, points
from tais.study.report import StudyContrast, StudyRow, StudyRun

__all__ = ["CONTRAST_COLUMNS", "RUN_COLUMNS", "SAYS", "contrast_cells", "published", "run_cells"]

CONTRAST_COLUMNS = (
    "contrast",
    "role",
    "identical answers",
    "endpoints that pass",
    "largest difference",
    "largest |h|",
    "drafted tokens accepted",
)
RUN_COLUMNS = ("manifest", "run", "arms", "answers", "signed")

SAYS = (
    "Every figure of ours is read from the report.json of a run; nothing is decided anew here. What a "
    "verdict rests on, and what it does not say, stands in the report of its run.",
    "The verdict of the study is the worst of its runs. A positive control is meant to fail: that is how a "
    "screen shows that it could have seen a leak.",
    "A published figure is quoted as its source gives it. The verdict beside it is that of our contrasts, "
    "not a judgement of the source.",
)


def published(row: StudyRow) -> str:
    """Return a published figure with its source."""
    if row.published is None:
        return NONE
    return f"{row.published} ({row.source})" if row.source else row.published


def run_cells(run: StudyRun) -> tuple[str, ...]:
    """Return one run under :data:`RUN_COLUMNS`."""
    return (
        run.manifest,
        run.run or "not run",
        NONE if run.arms is None else f"{run.arms}",
        NONE if run.samples is None else f"{run.samples:,}",
        NONE if run.run is None else "yes" if run.signed else "no",
    )


def contrast_cells(contrast: StudyContrast) -> tuple[str, ...]:
    """Return one contrast under :data:`CONTRAST_COLUMNS`."""
    return (
        f"{contrast.candidate} against {contrast.reference}",
        ROLES[contrast.role],
        _identical(contrast),
        f"{contrast.passed} of {contrast.endpoints}" if contrast.endpoints else NONE,
        _largest(contrast),
        NONE if contrast.largest_h is None else f"{contrast.largest_h:.3f}",
        _accepted(contrast),
    )


def _identical(contrast: StudyContrast) -> str:
    if contrast.evidence == "teacher_forced":
        beyond, scored = contrast.answers_beyond or 0, contrast.answers_scored or 0
        return f"no target arm; {beyond:,} of {scored:,} answers with a foreign token"
    if not contrast.n:
        return NONE
    return f"{contrast.identical:,} of {contrast.n:,}"


def _largest(contrast: StudyContrast) -> str:
    said = []
    if contrast.largest_difference is not None:
        where = f" ({contrast.largest_difference_of})" if contrast.largest_difference else ""
        said.append(f"{points(contrast.largest_difference)}{where}")
    if contrast.largest_ratio is not None:
        said.append(f"ratio {contrast.largest_ratio:.4g} ({contrast.largest_ratio_of})")
    return ", ".join(said) or NONE


def _accepted(contrast: StudyContrast) -> str:
    if not contrast.draft_tokens:
        return NONE
    return percent((contrast.accepted_tokens or 0) / contrast.draft_tokens)
