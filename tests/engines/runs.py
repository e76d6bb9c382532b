"""Ready manifests, edited and run on real engines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import ROOT, environment

__all__ = ["contrast_of", "edited", "read_report", "run_edited"]

Change = Callable[[dict[str, Any]], None]


def edited(tmp_path: Path, change: Change, name: str = "quick") -> Path:
    """A ready manifest, the one of two arms unless said otherwise, with a change, for other folders."""
    data = YAML(typ="safe").load(ROOT / "manifests" / f"{name}.yaml")
    for arm in data["arms"].values():
        for holder in (arm, arm.get("speculative_config", {})):
            if "model" in holder:
                holder["model"] = str((ROOT / "manifests" / holder["model"]).resolve())
    change(data)
    path = tmp_path / "edited.yaml"
    with path.open("w") as file:
        YAML().dump(data, file)
    return path


def run_edited(folder: Path, change: Change, limit: int, code: int = 3) -> Path:
    """Run an edited manifest on some items of each battery, mostly too few to decide; return the folder."""
    command = [sys.executable, "-m", "tais", "run", str(edited(folder, change)), "--out", str(folder)]
    done = subprocess.run(
        [*command, "--limit", str(limit)],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        timeout=580,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return folder


def read_report(out: Path) -> dict[str, Any]:
    """The report of the last run under a folder."""
    path = sorted(out.glob("*/*/report.json"))[-1]
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def contrast_of(out: Path, reference: str, candidate: str) -> dict[str, Any]:
    """One contrast of that report."""
    listed = read_report(out)["contrasts"]
    found: dict[str, Any] = next(
        c for c in listed if (c["reference"], c["candidate"]) == (reference, candidate)
    )
    return found
