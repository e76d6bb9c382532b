"""What a gate says about a run, and the form of the functions that say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tais.attest.verify import VerifiedRun
from tais.gate.policy import Policy
from tais.manifest.model import Role
from tais.verdict.report import ContrastReport, Report

__all__ = ["Objection", "Requirement", "arms_of", "screened"]


@dataclass(frozen=True, slots=True)
class Objection:
    """Something that the gate says about a run."""

    code: str
    message: str
    level: Literal["error", "inconclusive", "warning"] = "error"


Requirement = Callable[[VerifiedRun, Policy, datetime], Iterator[Objection]]


def screened(report: Report) -> list[ContrastReport]:
    """Return the contrasts that the verdict is about."""
    return [contrast for contrast in report.contrasts if contrast.role is Role.screen]


def arms_of(contrast: ContrastReport) -> str:
    """Return how a contrast is called in an objection."""
    return f"{contrast.candidate} against {contrast.reference}"
