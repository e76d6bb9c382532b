"""The runs that a run was made from, as its lock cites them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from tais.rundir.layout import REPORT
from tais.rundir.lock_model import Lock

__all__ = ["Source", "baseline_of", "sources_of"]


@dataclass(frozen=True, slots=True)
class Source:
    """A run that was cited."""

    run: str
    verified: bool
    """Whether its signature held when it was cited, and so for what it was made from itself."""


def sources_of(lock: Lock) -> list[Source]:
    """Return the runs that a comparison, an adjudication or an audit was made from; none for any other."""
    return [
        Source(str(cited.get("run")), cited.get("verified") is True) for cited in _cited(lock.manifest.source)
    ]


def baseline_of(lock: Lock) -> str | None:
    """Return the sha256 of the report that a comparison takes its reference from; None for any other run."""
    compared = lock.manifest.source.get("compare")
    cited = compared.get("reference") if isinstance(compared, dict) else None
    found = cited.get(REPORT) if isinstance(cited, dict) else None
    return found if isinstance(found, str) else None


def _cited(source: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
    compared = source.get("compare")
    sides = [compared.get("reference"), compared.get("candidate")] if isinstance(compared, dict) else []
    for cited in (*sides, source.get("adjudicate"), source.get("audit_of")):
        if isinstance(cited, dict):
            yield cited
