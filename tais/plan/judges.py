"""Judges of a manifest, checked before the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.errors import ManifestError, Place
from tais.scorers.judges import Judge

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery
    from tais.manifest.model import Manifest

__all__ = ["check_judges"]


def check_judges(manifest: Manifest, batteries: Sequence[LoadedBattery], file: Path) -> None:
    """Raise ManifestError unless every judge that a scorer asks stands in the manifest."""
    from tais.common.document import suggest

    for battery in batteries:
        for scorer in (battery.scorer, *battery.second_scorers):
            if not isinstance(scorer, Judge) or scorer.judge in manifest.judges:
                continue
            where = Place(file=str(file), key=f"battery {battery.name!r}")
            if not scorer.judge:
                remedy = "Write {name: ..., judge: NAME} and, at the top level, judges: {NAME: {engine: ...}}"
                raise ManifestError(f"the scorer {scorer.name!r} names no judge", place=where, remedy=remedy)
            remedy = suggest(scorer.judge, manifest.judges, "Judges")
            raise ManifestError(f"no judge named {scorer.judge!r}", place=where, remedy=remedy)
