"""A run of a manifest that the doctor makes up."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tais.runs.observer import Observer
from tais.runs.options import RunOptions, RunOutcome
from tais.runs.run import run

__all__ = ["run_made"]


def run_made(manifest: Mapping[str, object], options: RunOptions, observer: Observer | None) -> RunOutcome:
    """Run a manifest by the ordinary road.

    Raises
    ------
    TaisError
        As any run.
    """
    with tempfile.TemporaryDirectory(prefix="tais-doctor-") as folder:
        path = Path(folder) / "doctor.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        return run(path, options, observer)
