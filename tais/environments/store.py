"""Environments that are made from requirements: made once, found by what was asked for, listed, removed.

uv and pip resolve and install; venv makes the folder where uv is not at hand. What is left for TAIS is where
an environment lies, and that it is whole or not there.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tais.common.files import remove_leftovers, temporary_path, write_atomic
from tais.environments.facts import NEEDED
from tais.environments.installers import pips_own, run_installer
from tais.errors import EngineError, Place, UsageError
from tais.manifest.environments import Environment, folder_of, store

__all__ = ["Made", "create", "find", "made_environments", "remove"]

CARD = "tais-environment.json"


@dataclass(frozen=True, slots=True)
class Made:
    """An environment that is there."""

    folder: Path
    environment: Environment
    bytes: int
    """On disk; files that a cache shares by hard links are counted whole."""


def create(environment: Environment, tell: Callable[[str], None], variables: Mapping[str, str]) -> bool:
    """Make an environment of requirements, unless it is there; return whether it was made.

    Parameters
    ----------
    environment
        With requirements.
    tell
        Takes a line for the user.
    variables
        Environment of the installers, which run code of packages.

    Raises
    ------
    EngineError
        When the installer fails. Nothing is left behind.

    Notes
    -----
    Where packages come from is the user's own setting: those of pip are read by pip, and handed to uv, which
    reads none of them.
    """
    folder = folder_of(environment)
    if (folder / CARD).is_file():
        return False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        # Its scripts name their interpreter, so it is made where it stays; the card comes last, and
        # without it the folder counts for nothing.
        shutil.rmtree(folder, ignore_errors=True)
        _install(environment, folder, tell, variables)
        card = environment.model_dump(mode="json")
        write_atomic(folder / CARD, json.dumps(card, indent=1).encode() + b"\n")
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise EngineError(
                f"cannot make an environment: {error}", place=Place(file=str(folder))
            ) from error
        raise
    return True


def _install(
    environment: Environment, folder: Path, tell: Callable[[str], None], variables: Mapping[str, str]
) -> None:
    python, uv = environment.python or sys.executable, shutil.which("uv")
    packages = [*environment.requirements, *NEEDED]
    own = str(folder / "bin" / "python")
    run = partial(run_installer, folder=folder.parent, variables=variables)
    asked = ", ".join(environment.requirements)
    if uv is None:
        tell(f"pip installs {asked}")
        run([python, "-P", "-m", "venv", str(folder)])
        pip = [own, "-P", "-m", "pip", "install", "--quiet"]
        run([*pip, "--", *packages])
        if environment.overrides:
            # pip has no overrides: they take the place of what is there, whatever it was wanted for.
            run([*pip, "--no-deps", "--", *environment.overrides])
        return
    tell(f"uv installs {asked}")
    run([uv, "venv", "--quiet", "--python", python, str(folder)])
    overrides = temporary_path(folder.parent / "overrides.txt")
    try:
        overrides.write_text("".join(f"{line}\n" for line in environment.overrides), encoding="utf-8")
        named = ["--override", str(overrides)] if environment.overrides else []
        run([uv, "pip", "install", "--quiet", "--python", own, *named, *pips_own(), "--", *packages])
    finally:
        overrides.unlink(missing_ok=True)


def made_environments() -> list[Made]:
    """Return the environments that are there, by folder."""
    found = []
    for card in sorted(store().glob(f"*/{CARD}")):
        try:
            environment = Environment.model_validate_json(card.read_bytes())
        except (OSError, ValueError):
            continue
        size = sum(
            path.lstat().st_size
            for path in card.parent.rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        found.append(Made(card.parent, environment, size))
    return found


def find(name: str) -> Made:
    """Return the environment whose folder begins with `name`.

    Raises
    ------
    UsageError
        When there is none, or more than one.
    """
    found = [made for made in made_environments() if name and made.folder.name.startswith(name)]
    if len(found) != 1:
        what = f"{'more than one environment begins' if found else 'no environment begins'} with {name!r}"
        raise UsageError(what, remedy="See tais env list")
    return found[0]


def remove(made: Made) -> None:
    """Remove an environment; its card goes first, so that no half of it counts."""
    (made.folder / CARD).unlink(missing_ok=True)
    shutil.rmtree(made.folder)
