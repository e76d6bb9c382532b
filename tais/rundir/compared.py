"""What the lock of a comparison says of the two runs that it was made from."""

from __future__ import annotations

from pydantic import Field, JsonValue, ValidationError

from tais.common.models import Open
from tais.rundir.lock_model import Lock

__all__ = ["CitedRun", "ComparedRuns", "compared_runs"]


class CitedRun(Open):
    """One of the two runs, cited by digest."""

    __pydantic_extra__: dict[str, JsonValue]

    run: str
    arm: str
    rules_version: int = 1
    """Of the verdict rules that it was made under."""


class ComparedRuns(Open):
    """The two runs, and what stands between their stacks and a claim to be lossless."""

    __pydantic_extra__: dict[str, JsonValue]

    reference: CitedRun
    candidate: CitedRun
    not_lossless: tuple[str, ...] | None = Field(None, strict=False)
    """Each in words; empty where the claim holds by default, None where the comparison is older than this."""


def compared_runs(lock: Lock) -> ComparedRuns | None:
    """Return what a comparison cites; None for any other run, and for what TAIS does not write."""
    try:
        return ComparedRuns.model_validate(lock.manifest.source["compare"])
    except (KeyError, ValidationError):
        return None
