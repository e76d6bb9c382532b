"""Files of outputs are read to their end before any engine starts: a torn line costs no other arm an hour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.engines import create_engine
from tais.engines.base import EngineRefusal
from tais.engines.imported_outputs import Files
from tais.errors import ManifestError, Place
from tais.manifest.model import Manifest
from tais.plan.items import requests_of

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["check_answers", "check_imports"]


def check_imports(manifest: Manifest) -> None:
    """Raise ManifestError where an import arm's files are of no layout that TAIS knows."""
    for arm in manifest.arms.values():
        if arm.engine == "import":
            Files(arm)


def check_answers(
    manifest: Manifest, batteries: Sequence[LoadedBattery], arms: Sequence[str], file: Path
) -> None:
    """Raise ManifestError unless each import arm's file can be read and answers some item.

    Parameters
    ----------
    manifest
        As expanded.
    batteries
        All of the screen, loaded.
    arms
        Those that run.
    file
        The manifest's, for errors.
    """
    imported = [manifest.arms[name] for name in arms if manifest.arms[name].engine == "import"]
    asked = (requests_of(battery, manifest.sampling, None) for battery in batteries if imported)
    requests = [request for own in asked for request in own]
    for arm in imported:
        engine = create_engine("import")
        try:
            engine.start(arm)
            engine.check(requests, manifest.sampling)
        except EngineRefusal as error:
            place = Place(file=str(file), key=f"arms.{arm.name}.path")
            raise ManifestError(str(error), place=place, remedy="Check ids and file") from error
        finally:
            engine.close()
