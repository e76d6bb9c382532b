"""The cache of models: each is whole and says what it was made of, or is not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import JsonValue

from tais.common.files import atomic_folder, read_ordinary, store_error
from tais.common.machine import package_versions
from tais.common.version import __version__
from tais.errors import UsageError
from tais.manifest.models import CARD, full_name, is_name, model_store, remedy_for
from tais.plan.model_files import digest_model

__all__ = ["Kept", "check_name", "find_kept", "keep", "kept_models", "remove_kept"]

_SCHEMA = "tais/model/v1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A model that is there."""

    name: str
    folder: Path
    kind: str
    bytes: int
    card: Mapping[str, JsonValue]


def check_name(name: str) -> str:
    """Return the whole name of a model that is to be kept.

    Raises
    ------
    UsageError
        For what cannot be a name.
    """
    name = full_name(name)
    if not is_name(name):
        remedy = "Letters, digits, dots, dashes and underscores make a name"
        raise UsageError(f"no model can be called {name[:80]!r}", remedy=remedy)
    return name


@contextmanager
def keep(name: str, kind: str, content: Mapping[str, JsonValue]) -> Iterator[Path]:
    """Give a folder to write a model into; it is kept, with its card, when all went well.

    Parameters
    ----------
    name
        From :func:`check_name`.
    kind
        How it was made: ``dequantised``, ``original``, ``draft``, ``rounded``.
    content
        What it was made of, for the card; what is added to it in the block counts.

    Raises
    ------
    StoreError
        Where the cache cannot be written.
    """
    folder = model_store() / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with atomic_folder(folder) as made:
            yield made
            files = digest_model(made, name)
            card = {
                "schema": _SCHEMA,
                "name": name,
                "kind": kind,
                **content,
                "versions": {"tais": __version__, **package_versions()},
                "files": files,
            }
            (made / CARD).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            # One of another recipe, or one without a card, which counts for nothing.
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise store_error(error, folder) from error


def _remove_leftovers(folder: Path) -> None:
    """Remove what a making of this model that was killed left behind; one that goes on is left alone."""
    for path in folder.parent.glob(f".{folder.name}.*.tmp"):
        number = path.name.split(".")[-2]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def kept_models() -> list[Kept]:
    """Return the models that are there, by name; a folder without a readable card is none."""
    found = []
    for card in sorted(model_store().glob(f"*/{CARD}")):
        try:
            told = json.loads(read_ordinary(card))
        except (OSError, ValueError, RecursionError):
            continue
        if not isinstance(told, dict) or told.get("schema") != _SCHEMA or not is_name(card.parent.name):
            continue
        size = sum(path.stat().st_size for path in card.parent.iterdir() if path.is_file())
        found.append(Kept(card.parent.name, card.parent, str(told.get("kind")), size, told))
    return found


def find_kept(name: str) -> Kept:
    """Return a kept model.

    Raises
    ------
    UsageError
        When it is not there.
    """
    name = check_name(name)
    for kept in kept_models():
        if kept.name == name:
            return kept
    remedy = remedy_for(name) or "See tais model list"
    raise UsageError(f"the model {name} is not there", remedy=remedy)


def remove_kept(kept: Kept) -> None:
    """Remove a model; its card goes first, so that no half of it counts."""
    try:
        (kept.folder / CARD).unlink(missing_ok=True)
        shutil.rmtree(kept.folder)
    except OSError as error:
        raise store_error(error, kept.folder) from error
