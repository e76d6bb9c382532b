"""Where the parts of a run lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.errors import Place, UsageError

__all__ = [
    "ADJUDICATION",
    "BUNDLES",
    "FOLDER",
    "ITEMS",
    "LEDGER",
    "LOCK",
    "LOCK_BUNDLE",
    "REFERENCE",
    "REPORT",
    "RUN_BUNDLE",
    "TEST_BUNDLE",
    "UPGRADE",
    "RunLayout",
    "check_finished",
]

LOCK = "manifest.lock.json"
ITEMS = "items.parquet"
REPORT = "report.json"
LEDGER = "ledger.jsonl"
"""Beside the run directories, not in one."""
LOCK_BUNDLE = LOCK.removesuffix(".json") + ".sigstore.json"
RUN_BUNDLE = "attestation.sigstore.json"
TEST_BUNDLE = "test-result.sigstore.json"
BUNDLES = frozenset({LOCK_BUNDLE, RUN_BUNDLE, TEST_BUNDLE})
ADJUDICATION = "adjudication.json"
"""Every label, and all that is needed to count them again; in the run directory that cites them."""
UPGRADE = "upgrade.json"
"""The same contrast under each hypothesis, and the items that changed."""
FOLDER = "judges"
REFERENCE = "reference"
"""Inside a judge's folder: what it said in the other run that a comparison cites."""


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where a run's parts lie."""

    run_dir: Path
    scores: Path
    """scores.parquet of the run, or a fresh one elsewhere."""

    def arm_dir(self, arm: str) -> Path:
        """Return the directory of an arm's parts."""
        return self.run_dir / "arms" / arm

    def engine(self, arm: str) -> dict[str, Any]:
        """Return an arm's engine.json; empty where the arm never started."""
        path = self.arm_dir(arm) / "engine.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return loaded


def check_finished(run_dir: Path) -> None:
    """Raise UsageError unless a run has its report."""
    if not (run_dir / REPORT).is_file():
        remedy = "Finish it with tais run --resume"
        raise UsageError("this run is not finished", place=Place(str(run_dir)), remedy=remedy)
