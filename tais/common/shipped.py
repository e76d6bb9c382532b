"""What ships with TAIS, found by name wherever it is installed: batteries, manifests, models, exhibits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tais.common.document import suggest
from tais.errors import ManifestError, Place

__all__ = ["Kind", "find_battery_file", "names", "share"]

Kind = Literal["batteries", "manifests", "models", "museum"]

_PACKAGE = Path(__file__).resolve().parent.parent


def share(kind: Kind) -> Path:
    """Return the folder of one kind of files: in the installed package, else in the checkout around it."""
    installed, checkout = _PACKAGE / "share" / kind, _PACKAGE.parent / kind
    if installed.is_dir():
        return installed
    # Beside an installed package lie other packages, and one of them may be called "models".
    if (_PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    remedy = "Install TAIS again: this installation is not complete"
    raise ManifestError(
        f"the {kind} that ship with TAIS are not there", place=Place(str(installed)), remedy=remedy
    )


def names(kind: Literal["batteries", "manifests"]) -> list[str]:
    """Return the names under which files of a kind are found."""
    return sorted(file.stem for file in share(kind).glob("*.yaml"))


def find_battery_file(name: str, place: Place | None = None) -> Path:
    """Return the definition of a battery that ships with TAIS.

    Parameters
    ----------
    name
        Such as ``demo_refuse``.
    place
        Where the name was asked for, for the error.

    Raises
    ------
    ManifestError
        Naming the nearest battery, when there is none of this name.
    """
    known = names("batteries")
    if name not in known:
        remedy = suggest(name, known)
        raise ManifestError(f"no battery named '{name}'", place=place, remedy=remedy)
    return share("batteries") / f"{name}.yaml"
