"""What `rules.sensitivity` waives must be there: a name with a slip of the pen waives nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tais.common.document import suggest
from tais.errors import ManifestError, Place
from tais.manifest.model import Manifest, WaivedSensitivity
from tais.records import stratum_label

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["check_waivers", "endpoint_labels"]


def check_waivers(manifest: Manifest, batteries: Sequence[LoadedBattery], file: Path) -> None:
    """Raise ManifestError unless every waived endpoint is one of the screen."""
    rule = manifest.rules.sensitivity
    if not isinstance(rule, WaivedSensitivity):
        return
    known = list(endpoint_labels(batteries))
    for index, label in enumerate(rule.waived):
        if label not in known:
            raise ManifestError(
                f"no endpoint is called {label!r}",
                place=Place(file=str(file), key=f"rules.sensitivity.waived[{index}]"),
                remedy=suggest(label, known, "Endpoints"),
            )


def endpoint_labels(batteries: Sequence[LoadedBattery]) -> Iterator[str]:
    """Yield the endpoints of batteries by name: ``battery/stratum``, or ``battery``."""
    for battery in batteries:
        for stratum in battery.strata:
            yield stratum_label(battery.name, stratum)
