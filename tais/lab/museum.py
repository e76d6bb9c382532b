"""The museum: real bugs of released engines, each with a manifest and what TAIS must say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from tais.common.document import suggest
from tais.common.models import Strict
from tais.common.shipped import share
from tais.common.validation import validate
from tais.common.yaml12 import load as load_yaml
from tais.errors import ManifestError, Place
from tais.verdict.report import Report

__all__ = ["Exhibit", "Said", "exhibits", "find_exhibits", "said_of"]

_LIST = "exhibits.yaml"


class Exhibit(Strict):
    """One bug."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    """Of its manifest."""
    title: str
    engine: str
    """Releases with and without it."""
    reference: str = Field(pattern=r"^https://")
    """Where it is told of in public."""
    expect: dict[str, Literal["pass", "fail", "inconclusive"]] = Field(min_length=2)
    """Verdict by candidate: of the release with the bug, and of the one without."""
    replayed: bool = False
    """Whether a patch is needed to show it; not counted among those that TAIS caught."""

    @property
    def manifest(self) -> Path:
        """Its manifest."""
        return share("museum") / f"{self.name}.yaml"


class _Exhibits(Strict):
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What TAIS said of one candidate of an exhibit."""

    exhibit: str
    candidate: str
    expected: str
    verdict: str

    @property
    def right(self) -> bool:
        """Whether it is what it must say."""
        return self.expected == self.verdict


def exhibits() -> tuple[Exhibit, ...]:
    """Return all exhibits, in the order of their list.

    Raises
    ------
    ManifestError
        When the list is damaged.
    """
    document = load_yaml(share("museum") / _LIST)
    listed = document.data if isinstance(document.data, list) else []
    return validate(_Exhibits, {"exhibits": listed}, document).exhibits


def find_exhibits(names: list[str]) -> tuple[Exhibit, ...]:
    """Return exhibits by name; all where none is named.

    Raises
    ------
    ManifestError
        For a name that there is not.
    """
    known = {exhibit.name: exhibit for exhibit in exhibits()}
    for name in names:
        if name not in known:
            place, remedy = Place(key="museum"), suggest(name, known, "Exhibits")
            raise ManifestError(f"no exhibit named {name!r}", place=place, remedy=remedy)
    return tuple(known[name] for name in names) if names else tuple(known.values())


def said_of(exhibit: Exhibit, report: Report) -> list[Said]:
    """Return what a report says of each candidate that an exhibit is about."""
    found = {contrast.candidate: contrast.verdict.value for contrast in report.contrasts}
    return [
        Said(exhibit.name, candidate, expected, found.get(candidate, "missing"))
        for candidate, expected in exhibit.expect.items()
    ]
