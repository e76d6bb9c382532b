"""How long an arm takes to load and to answer: measured, or declared by whoever wants to know."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from tais.common.files import json_digest, write_atomic
from tais.common.models import Frozen
from tais.errors import Place, UsageError
from tais.rundir.lock_model import Lock, plain

__all__ = ["RATES", "ArmRates", "Rates", "read_rates", "stack_digest", "write_rates"]

RATES = "rates.json"
"""Lies beside the run directories of a manifest."""

ANY = "*"
"""Arm that stands for all those without rates of their own."""


class ArmRates(Frozen):
    """One stack."""

    load_seconds: float = Field(ge=0)
    warmup_seconds: float = Field(default=0.0, ge=0)
    """What the first answers take longer than the others."""
    seconds_per_token: float = Field(gt=0)
    """Wall time per answer token with the engine's batch full, its share of the prompts' tokens included."""
    tokens_per_answer: float | dict[str, float]
    """Mean; by battery where that is known."""
    devices: int = Field(default=1, ge=1)
    """GPUs that the arm holds, or cores where it runs on a CPU."""
    stack: str | None = None
    """Digest of the stack and the sampling that were measured; None where the rates were declared."""

    def tokens(self, battery: str) -> float:
        """Return the mean number of tokens of an answer to a battery."""
        known = self.tokens_per_answer
        if not isinstance(known, dict):
            return known
        return known[battery] if battery in known else sum(known.values()) / len(known)


class Rates(Frozen):
    """All that a prediction rests on."""

    source: Literal["calibration", "run", "declared"]
    """Measured on some items, taken from an earlier run of the manifest, or declared in a file."""
    said: str = ""
    """Which run, or where the declared figures come from."""
    device: Literal["cpu", "gpu"] = "gpu"
    import_seconds: float = Field(default=0.0, ge=0)
    """Once per worker."""
    rest_seconds: float | None = Field(default=None, ge=0)
    """Reading, scoring and deciding; None where it was not measured."""
    arms: dict[str, ArmRates]

    def of(self, arm: str, stack: str | None = None) -> ArmRates | None:
        """Return the rates of an arm; None where they are not known, or were measured on another stack."""
        found = self.arms.get(arm, self.arms.get(ANY))
        if found is not None and found.stack is not None and stack is not None and found.stack != stack:
            return None
        return found


def stack_digest(lock: Lock, arm: str) -> str:
    """Return the digest of what decides how long an arm takes: the stack and the sampling."""
    return json_digest({"arm": plain(lock.arms[arm]), "sampling": plain(lock.sampling)})


def read_rates(path: Path) -> Rates:
    """Read a file of rates, JSON.

    Raises
    ------
    UsageError
        When it cannot be read, or a value cannot be.
    """
    try:
        return Rates.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError("the rates cannot be read", place=Place(file=str(path))) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or None
        raise UsageError(
            f"these are no rates: {first['msg']}",
            place=Place(file=str(path), key=key),
            remedy="See docs/speed.md for an example",
        ) from error


def write_rates(path: Path, rates: Rates) -> None:
    """Write rates, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, rates.model_dump_json(indent=1).encode() + b"\n")
