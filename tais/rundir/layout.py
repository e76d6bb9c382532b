"""Where the parts of a run lie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RunLayout"]


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
