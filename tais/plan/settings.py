"""Items with sampling settings of their own, held against the run's and against what engines know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tais.errors import ManifestError, Place
from tais.manifest.model import Manifest
from tais.manifest.sampling import law_not_known, unknown_setting, with_own

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["check_own_settings"]


def check_own_settings(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> None:
    """Refuse what an engine cannot follow, or an audit that was asked for cannot judge.

    Raises
    ------
    ManifestError
        Naming the first item.
    """
    for battery in batteries:
        first: dict[str, str] = {}
        for item in battery.items:
            if item.sampling is not None:
                first.setdefault(item.sampling, item.id)
        for own, item_id in first.items():
            _check(manifest, own, Place(file=battery.origin, key=f"item {item_id!r}: sampling"))


def _check(manifest: Manifest, own: str, place: Place) -> None:
    try:
        sampling = with_own(manifest.sampling, own)
    except ValidationError as error:
        what = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ManifestError(
            what, place=place, remedy="Change the row, or sampling in the manifest"
        ) from error
    for arm in manifest.arms.values():
        unknown = unknown_setting(arm, sampling)
        if unknown is not None:
            raise ManifestError(unknown.what, place=place, remedy=unknown.remedy)
    for contrast in manifest.contrasts:
        engine = manifest.arms[contrast.reference].engine
        key = law_not_known(engine, sampling) if manifest.audit_of(contrast) != "none" else None
        if key is not None:
            what = f"audit: engine {engine} of '{contrast.reference}' does not know {key}"
            remedy = "Audit with a reference on transformers, or say audit: false"
            raise ManifestError(what, place=place, remedy=remedy)
