"""What an arm says of antidistillation sampling. Light: a manifest is checked without any engine."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, ValidationError

from tais.common.document import Path_, show, suggest
from tais.common.models import Strict
from tais.manifest.engine_options import Wrong
from tais.manifest.model import Arm

__all__ = ["KEY", "SteeringOptions", "read_steering", "steering_of", "wrong_steering"]

KEY: Final = "antidistillation"
"""Where the options stand in ``engine_args``."""
_ENGINE = "reference"
# As papers and their code call them.
_ALSO = {"lambda": "strength", "lam": "strength", "tau": "temperature", "eps": "epsilon", "model": "proxy"}


class SteeringOptions(Strict, strict=True):
    """``engine_args.antidistillation`` of ``engine: reference``."""

    strength: float
    """Lambda. 0 leaves the arm's own law, at `temperature`, and needs no proxy; below 0 it prefers what
    lowers the proxy's loss."""
    proxy: str | None = Field(None, min_length=1)
    """Model that stands for the student: a folder, or a name on the hub. It has the arm's vocabulary."""
    proxy_revision: str | None = Field(None, min_length=1)
    examples: str | None = Field(None, min_length=1)
    """JSONL file of prompts and completions: the proxy's loss on them is what is to grow."""
    epsilon: float = Field(0.01, gt=0)
    """Step of the finite difference, in units of the loss gradient."""
    temperature: float | None = Field(None, gt=0)
    """Tau; None takes that of the manifest's sampling."""


def steering_of(arm: Arm) -> Any:
    """Return what stands under the key, unread; None where an arm does not ask for it."""
    return arm.engine_args.get(KEY)


def read_steering(given: Any) -> SteeringOptions:
    """Return the options as read.

    Raises
    ------
    ValidationError
        Where :func:`wrong_steering` says what is wrong.
    """
    return SteeringOptions.model_validate(given)


def wrong_steering(arm: Arm, sampling_temperature: float | None = None) -> Wrong | None:
    """Return the first thing that is wrong with the options of an arm.

    Parameters
    ----------
    arm
        Any arm.
    sampling_temperature
        Of the manifest; None where it is not known.
    """
    at: Path_ = ("engine_args", KEY)
    given = steering_of(arm)
    if given is None:
        return None
    if arm.engine != _ENGINE:
        what = f"engine {show(arm.engine)} has no antidistillation sampling"
        return Wrong(at, what, f"Say engine: {_ENGINE}")
    try:
        options = read_steering(given)
    except ValidationError as error:
        return _wrong(error, at)
    for key in ("proxy", "examples"):
        if options.strength and getattr(options, key) is None:
            what = f"a strength other than 0 needs {key}"
            return Wrong(at, what, "Name a proxy, and a JSONL file of examples whose loss is to grow")
    if sampling_temperature == 0:
        what = "antidistillation changes how tokens are drawn, and at temperature 0 none are"
        return Wrong(at, what, "Give sampling a temperature above 0")
    return None


def _wrong(error: ValidationError, at: Path_) -> Wrong:
    first = error.errors()[0]
    path = (*at, *first["loc"])
    if first["type"] == "missing":
        return Wrong(at, f"antidistillation needs {first['loc'][0]}", "0 leaves the law as it is")
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][0])
        meant = _ALSO.get(name)
        remedy = (
            f"Here it is called {meant}" if meant else suggest(name, SteeringOptions.model_fields, "Options")
        )
        return Wrong(path, f"antidistillation has no option {show(name)}", remedy)
    reason = str(first["msg"])
    return Wrong(path, f"{reason[0].lower()}{reason[1:]}, not {show(first['input'])}", "Correct it")
