"""Which arms of a drill run, and which sound arm a faulty one is held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tais.common.document import suggest
from tais.errors import Place, UsageError
from tais.manifest.engine_options import MEMORY_ARGUMENTS
from tais.manifest.model import Manifest

__all__ = ["LOSSLESS", "cut_down", "twin_of"]

LOSSLESS = "lossless"
"""Stands for all arms without a fault."""

# What decides which drafts are accepted; batch sizes, order and prefix caching must not.
_ALIKE = (
    "engine", "model", "revision", "tokenizer", "dtype", "chat_template", "system_prompt",
    "chat_template_kwargs", "speculative_config",
)  # fmt: skip


def _drafting(arm: Mapping[str, Any]) -> list[Any]:
    # Where memory is short, a sequence that is put off goes on with a token that nobody drafted.
    return [*(arm.get(key) for key in _ALIKE), *(arm["engine_args"].get(key) for key in MEMORY_ARGUMENTS)]


def twin_of(name: str, arms: Mapping[str, Mapping[str, Any]], candidates: Iterable[str]) -> str | None:
    """Return the first sound candidate that speculates as an arm does; None where there is none.

    Parameters
    ----------
    name
        The arm.
    arms
        Arms as of a lock or a dumped manifest.
    candidates
        Arms that are screened, in the order of the manifest.
    """
    if arms[name]["speculative_config"] is None:
        return None
    own = _drafting(arms[name])
    sound = (c for c in candidates if c != name and not arms[c].get("fault"))
    return next((c for c in sound if _drafting(arms[c]) == own), None)


def cut_down(manifest: Manifest, only: Sequence[str], path: Path) -> Manifest:
    """Return a manifest with the contrasts of some candidates alone, and of the twins that these need.

    Parameters
    ----------
    manifest
        Of a drill.
    only
        Names of arms or of faults, or "lossless".
    path
        Its file, for messages.

    Raises
    ------
    UsageError
        When a name is neither.
    """
    arms = {name: arm.model_dump() for name, arm in manifest.arms.items()}
    candidates = [contrast.candidate for contrast in manifest.contrasts]
    names: dict[str, list[str]] = {c: [c] for c in candidates}
    for c in candidates:
        fault = arms[c]["fault"]
        names.setdefault(fault["name"] if fault else LOSSLESS, []).append(c)
    chosen: set[str] = set()
    for name in only:
        if name not in names:
            remedy = suggest(name, names, "Arms and faults")
            raise UsageError(f"nothing is called {name!r}", place=Place(str(path)), remedy=remedy)
        chosen |= set(names[name])
    twins = {twin_of(name, arms, candidates) for name in chosen}
    kept = tuple(c for c in manifest.contrasts if c.candidate in chosen | twins)
    return manifest.model_copy(update={"contrasts": kept})
