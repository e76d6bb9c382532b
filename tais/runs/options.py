"""What the command line says beside the manifest, and what a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tais.executors.base import Placement
from tais.verdict.report import Report

if TYPE_CHECKING:
    from tais.attest import Signer

__all__ = ["RunOptions", "RunOutcome"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says beside the manifest."""

    out: Path = Path("reports")
    resume: bool = False
    limit: int | None = None
    stall_seconds: float = 1800.0
    part_samples: int = 256
    part_seconds: float = 10.0
    signer: Signer | None = None
    """Signs lock and report; None leaves the run unsigned."""
    cache: str | None = None
    """Folder or URL of arms that ran already; None runs every arm."""
    redact: bool = False
    """Leave prompts and answers out of the report and its pages; ids and digests stay."""
    placement: Placement = field(default_factory=Placement)
    """On which machines and devices arms run."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to."""

    report: Report
    run_dir: Path
