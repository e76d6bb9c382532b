"""What the environments of a manifest hold, looked at before the first token."""

from __future__ import annotations

from pydantic import JsonValue

from tais.common.machine import PACKAGES
from tais.environments.facts import look_at
from tais.errors import ManifestError, Place
from tais.manifest.environments import interpreter_of
from tais.manifest.model import Manifest

__all__ = ["locked_environments"]


def locked_environments(manifest: Manifest) -> dict[str, JsonValue]:
    """Return what a lock fixes of each environment that an arm or a judge runs in.

    Raises
    ------
    ManifestError
        When one is not there, or lacks what a worker needs.
    """
    found: dict[str, JsonValue] = {}
    for name, environment in manifest.used_environments.items():
        python = interpreter_of(environment)
        place = Place(key=f"environments.{name}")
        if environment.requirements and not python.exists():
            what = f"the environment is not there yet ({', '.join(environment.requirements)})"
            raise ManifestError(what, place=place, remedy=f"Make it: tais env create {_file(manifest)}")
        facts = look_at(python, PACKAGES, place)
        found[name] = facts.model_dump(mode="json", include={"python", "packages", "digest"})
    return found


def _file(manifest: Manifest) -> str:
    try:
        return str(manifest.file)
    except ManifestError:
        return "MANIFEST"
