"""The batteries of a plan: loaded, or named where their data is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tais.errors import MissingData
from tais.manifest.model import BatteryRef

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["MissingBattery", "load_batteries"]


@dataclass(frozen=True, slots=True)
class MissingBattery:
    """A battery whose data is not at hand."""

    name: str
    items: int | None
    """How many its definition expects, as far as it says."""
    margin: float | None
    reason: str


def load_batteries(
    refs: Sequence[BatteryRef], folder: Path, *, incomplete: bool
) -> tuple[tuple[LoadedBattery, ...], tuple[MissingBattery, ...]]:
    """Load the batteries of a manifest.

    Parameters
    ----------
    refs
        As the manifest names them.
    folder
        Of the manifest.
    incomplete
        Return those whose data is not at hand apart, instead of failing.

    Raises
    ------
    ManifestError
        For the first battery that cannot be used.
    """
    from tais.battery.load import file_of, load_battery, load_definition

    loaded, missing = [], []
    for ref in refs:
        try:
            loaded.append(load_battery(ref, folder))
        except MissingData as error:
            if not incomplete:
                raise
            definition, _ = load_definition(file_of(ref, folder))
            expected = definition.expected.items or definition.expected.rows
            items = min(expected, ref.limit) if expected and ref.limit else expected
            margin = definition.margin if ref.margin is None else ref.margin
            missing.append(MissingBattery(ref.name, items, margin, str(error)))
    return tuple(loaded), tuple(missing)
