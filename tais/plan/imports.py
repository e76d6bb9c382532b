"""Files of imported answers, looked at before any engine starts."""

from __future__ import annotations

from tais.engines.imported_outputs import Files
from tais.manifest.model import Manifest

__all__ = ["check_imports"]


def check_imports(manifest: Manifest) -> None:
    """Raise ManifestError where an import arm's files are of no layout that TAIS knows.

    What stands in their lines is read by the arm.
    """
    for arm in manifest.arms.values():
        if arm.engine == "import":
            Files(arm)
