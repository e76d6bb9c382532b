"""Import arms for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tais.battery.logs.sample import LoggedSample
from tais.engines.imported_outputs import Files, read_outputs
from tais.manifest.model import Arm

__all__ = ["OPENS", "import_arm", "outputs"]

OPENS = Path(__file__).parents[1] / "assets" / "imports" / "opens"
"""One small file of each layout that TAIS reads."""


def import_arm(path: Path | tuple[Path, ...], **more: Any) -> Arm:
    """Return an arm over files of outputs."""
    paths = str(path) if isinstance(path, Path) else tuple(map(str, path))
    return Arm(name="old", engine="import", path=paths, **more)


def outputs(path: Path | tuple[Path, ...], **more: Any) -> list[LoggedSample]:
    """Return what an arm over files of outputs holds."""
    return list(read_outputs(Files(import_arm(path, **more))))
