"""The combined report of a study. Its JSON is ``tais/study/v1``: keys are only ever added."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tais.common.models import Frozen
from tais.manifest.model import Role
from tais.verdict.report import Verdict

__all__ = ["StudyContrast", "StudyReport", "StudyRow", "StudyRun"]


class StudyContrast(Frozen):
    """One contrast of one run, in the figures that the study speaks of."""

    reference: str
    candidate: str
    role: Role
    lossless: bool
    evidence: Literal["matched", "teacher_forced"]
    verdict: Verdict
    n: int
    """Answers compared; under teacher forcing none are."""
    identical: int
    identical_wilson: tuple[float, float] | None = None
    endpoints: int
    equivalent: int
    """Endpoints whose difference lies within the margin (TOST)."""
    passed: int
    """Endpoints that pass: equivalent, and |h| with its null below the cutoff."""
    largest_difference: float | None
    """Of the endpoints judged by the difference of rates."""
    largest_difference_of: str | None
    """Battery and scorer of it."""
    largest_ratio: float | None = None
    """Of the endpoints judged by the ratio of outcomes that are not as expected, the one farthest from 1."""
    largest_ratio_of: str | None = None
    largest_h: float | None
    """Largest |h| of an endpoint."""
    draft_tokens: int | None
    accepted_tokens: int | None
    answers_scored: int | None = None
    """Under teacher forcing: answers whose every token the reference scored."""
    answers_beyond: int | None = None
    """Of these, the ones with a token outside the band."""
    bound: float | None = None
    """Upper bound on the share of such answers, the largest of a battery."""


class StudyRun(Frozen):
    """One manifest of the study and its run."""

    manifest: str
    name: str
    run: str | None
    """Run id; the directory is ``<name>/<run>`` beside the study's own."""
    verdict: Verdict | None
    error: str | None = None
    """Why there is no verdict; None for a manifest that was not reached."""
    exit_code: int | None = None
    lock_sha256: str | None = None
    report_sha256: str | None = None
    signed: bool = False
    """Whether a signature lies beside the report; ``tais verify`` checks it."""
    arms: int | None = None
    samples: int | None = None
    contrasts: tuple[StudyContrast, ...] = ()


class StudyRow(Frozen):
    """One question: the published figure beside ours."""

    question: str
    published: str | None
    source: str | None
    remark: str | None
    ours: str
    verdict: Verdict | None
    """The worst of the contrasts, None where one was not run. Of controls: pass where all are caught."""
    contrasts: tuple[str, ...]


class StudyReport(Frozen):
    """What the runs of a study come to together."""

    schema_: Literal["tais/study/v1"] = Field("tais/study/v1", alias="schema")
    name: str
    title: str
    source: str | None
    verdict: Verdict | None
    """The worst of the runs; None while one of them has none."""
    exit_code: int
    tais: str
    rows: tuple[StudyRow, ...]
    runs: tuple[StudyRun, ...]

    def to_json(self) -> str:
        """Return the JSON, with a newline at the end."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"
