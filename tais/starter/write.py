"""Writes what a new user starts from, and replaces nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tais.common.files import store_error
from tais.errors import Place, UsageError
from tais.starter.changes import Choices
from tais.starter.texts import GITHUB, GITLAB, github_text, gitlab_text, manifest_text, policy_text

__all__ = ["start"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def start(choices: Choices, folder: Path, ci: Sequence[str]) -> list[Path]:
    """Write manifest, policy, CI workflows and the schemas that an editor reads; return the new files.

    Parameters
    ----------
    choices
        Models and batteries that are paths start from the working directory.
    folder
        Where the files go.
    ci
        ``github``, ``gitlab``, both or neither.

    Raises
    ------
    UsageError
        When a file is there already, before anything is written; or when a choice cannot be.
    StoreError
        When a file cannot be written.
    """
    if not _NAME.fullmatch(choices.name):
        remedy = "Letters, digits, dots, dashes and underscores"
        raise UsageError(f"{choices.name!r} is no name of a screen", remedy=remedy)
    chosen = _from(choices, folder)
    manifest, policy = f"{choices.name}.yaml", f"{choices.name}.policy.yaml"
    files = {folder / manifest: manifest_text(chosen), folder / policy: policy_text(chosen)}
    workflows = {"github": (GITHUB, github_text), "gitlab": (GITLAB, gitlab_text)}
    for name in ci:
        named, written = workflows[name]
        files[folder / named.format(f"tais-{choices.name}")] = written(manifest, policy)
    for path in files:
        if os.path.lexists(path):
            remedy = "Choose another --name or --out: nothing is replaced"
            raise UsageError("this file is there already", place=Place(str(path)), remedy=remedy)
    for path, text in _schemas(folder).items():
        if not os.path.lexists(path):
            files[path] = text
    for path, text in files.items():
        _write(path, text)
    return list(files)


def _from(choices: Choices, folder: Path) -> Choices:
    """Return the choices with paths as the manifest reads them: relative to its own folder."""

    def local(text: str | None) -> str | None:
        # A path that is absolute stays what was typed; a name on a hub is no file here.
        if not text or Path(text).is_absolute() or not Path(text).exists():
            return text
        relative = os.path.relpath(text, folder)
        return relative if relative.startswith("..") else f"./{relative}"

    value = local(choices.value) if choices.change in ("draft", "model") else choices.value
    batteries = tuple(local(b) or b if b.endswith((".yaml", ".yml")) else b for b in choices.batteries)
    model = choices.model if choices.engine == "openai" else local(choices.model) or choices.model
    return replace(choices, model=model, value=value, control=local(choices.control), batteries=batteries)


def _schemas(folder: Path) -> dict[Path, str]:
    # Loads numpy, for sweeps.
    from tais.gate.policy import policy_schema
    from tais.manifest.schema import manifest_schema

    made = {"manifest": manifest_schema(), "policy": policy_schema()}
    return {folder / ".tais" / f"{k}.schema.json": json.dumps(v, indent=1) + "\n" for k, v in made.items()}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise store_error(error, path) from error
