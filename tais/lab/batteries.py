"""Batteries as the lab's commands name them: by name, or by file."""

from __future__ import annotations

from pathlib import Path

from tais.battery.load import LoadedBattery, load_battery
from tais.manifest.model import BatteryRef

__all__ = ["named_battery"]


def named_battery(name: str, limit: int | None) -> LoadedBattery:
    """Load a battery by its name or from its file.

    Parameters
    ----------
    name
        Of a battery that ships with TAIS, or a YAML file.
    limit
        First so many items; None for all.

    Raises
    ------
    ManifestError
        When it cannot be loaded.
    """
    path = Path(name)
    if not path.is_file():
        return load_battery(BatteryRef(name=name, limit=limit), Path.cwd())
    return load_battery(BatteryRef(name=path.stem, limit=limit, path=str(path.resolve())), Path.cwd())
