"""Recipes: a manifest for each kind of change of a serving stack, to copy and fill in."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tais.common.document import suggest
from tais.common.files import store_error, write_atomic
from tais.common.models import Strict
from tais.common.shipped import share
from tais.common.validation import validate
from tais.common.yaml12 import load as load_yaml
from tais.errors import ManifestError, Place, UsageError

__all__ = ["Recipe", "copy_recipe", "find_recipe", "recipes"]

_LIST = "list.yml"
# Models that ship with TAIS, as a recipe names them.
_SHIPPED = re.compile(r"\.\./\.\./models/([A-Za-z0-9_./-]+)")
_BESIDE = re.compile(r"\b[a-z0-9-]+\.jinja\b")


class Recipe(Strict):
    """One kind of change."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    """Of its manifest."""
    change: str
    """What changes, in a line."""
    seen: dict[str, Literal["pass", "fail", "inconclusive"]] = Field(default_factory=dict)
    """Verdict by candidate, where it was run as it is, on a CPU."""
    not_run: str = ""
    """Why it was not."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Recipe:
        if bool(self.seen) == bool(self.not_run):
            raise ValueError("must say either what was seen, or why it was not run")
        return self

    @property
    def manifest(self) -> Path:
        """Its manifest."""
        return share("manifests") / "recipes" / f"{self.name}.yaml"


class _Recipes(Strict):
    recipes: tuple[Recipe, ...]


def recipes() -> tuple[Recipe, ...]:
    """Return all recipes, in the order of their list.

    Raises
    ------
    ManifestError
        When the list is damaged.
    """
    document = load_yaml(share("manifests") / "recipes" / _LIST)
    listed = document.data if isinstance(document.data, list) else []
    return validate(_Recipes, {"recipes": listed}, document).recipes


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises
    ------
    ManifestError
        Naming the nearest one.
    """
    known = {recipe.name: recipe for recipe in recipes()}
    if name not in known:
        place, remedy = Place(key="recipe"), suggest(name, known, "Recipes")
        raise ManifestError(f"no recipe named {name!r}", place=place, remedy=remedy)
    return known[name]


def copy_recipe(recipe: Recipe, target: Path) -> list[Path]:
    """Write a recipe to a file of one's own, with the files beside it; nothing is overwritten.

    Parameters
    ----------
    recipe
        Which one.
    target
        The file, or a folder that there is.

    Returns
    -------
    list of Path
        What was written, the manifest first. It runs from there: demo models are named by their full path.

    Raises
    ------
    UsageError
        Where a file is there already.
    StoreError
        Where it cannot be written.
    """
    file = target / recipe.manifest.name if target.is_dir() else target
    text = recipe.manifest.read_text(encoding="utf-8")
    models = share("models")
    # Letters as they are: JSON writes those beyond 16 bits in two halves, which are none in YAML.
    own = _SHIPPED.sub(lambda found: json.dumps(str((models / found[1]).resolve()), ensure_ascii=False), text)
    wanted = {file: own}
    for name in dict.fromkeys(_BESIDE.findall(text)):
        beside = recipe.manifest.parent / name
        if beside.is_file():
            wanted[file.parent / name] = beside.read_text(encoding="utf-8")
    for path in wanted:
        if os.path.lexists(path):
            remedy = "Name another file, or remove this one"
            raise UsageError("there is a file already", place=Place(str(path)), remedy=remedy)
    for path, content in wanted.items():
        try:
            write_atomic(path, content.encode())
        except OSError as error:
            raise store_error(error, path) from error
    return list(wanted)
