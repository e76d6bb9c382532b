"""Digests of what an engine can read: a model's folder but known clutter, and files that settings name.

A list of what counts would miss what the next engine reads (``modeling_x.py``, ``chat_template.jinja2``,
``merges.bpe``), so there is a list of what does not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from tais.common.files import json_digest, read_ordinary, sha256_file
from tais.errors import ManifestError, Place
from tais.manifest.models import CARD

__all__ = ["digest_folder", "digest_model", "engine_files"]

_WEIGHTS = {".safetensors", ".bin", ".gguf", ".pt", ".pth", ".npz"}
_CLUTTER = re.compile(
    # Documents, and what file systems, version control and downloads leave behind.
    r"\..+|Thumbs\.db|desktop\.ini|.+\.(md|rst|log|lock|tmp|incomplete|pyc|pdf|png|jpe?g|gif|svg)|"
    r"LICEN[CS]E.*|NOTICE.*|COPYING.*|"
    # What TAIS says of a model that it keeps; it names the other files.
    rf"{re.escape(CARD)}|"
    # Of training; vLLM passes these over, too (filter_files_not_needed_for_inference).
    r"(optimizer|scheduler|scaler)\.(pt|bin)|training_args\.bin|trainer_state\.json|rng_state.*\.pth",
    re.IGNORECASE,
)
_CLUTTER_FOLDERS = re.compile(r"\..+|__pycache__", re.IGNORECASE)


def digest_model(folder: Path, key: str) -> dict[str, str]:
    """Return the sha256 (hex) of every file of a model that an engine can read, by relative path.

    Parameters
    ----------
    folder
        Of the model.
    key
        Names it in errors.

    Raises
    ------
    ManifestError
        When it holds no model.
    """
    files = list(_files(folder))
    where = Place(file=str(folder), key=key)
    if not any(path.suffix in _WEIGHTS for path in files):
        raise ManifestError(
            "this folder holds no weights", place=where, remedy="Point to a folder with *.safetensors"
        )
    if not (folder / "config.json").is_file() and not any(path.suffix == ".gguf" for path in files):
        raise ManifestError(
            "this folder has no config.json", place=where, remedy="Point to a complete model folder"
        )
    digests = _digests(folder, files, where)
    _check_kept(folder, digests, where)
    return digests


def _check_kept(folder: Path, digests: Mapping[str, str], where: Place) -> None:
    """Refuse a model that TAIS keeps and whose files are no longer those that it wrote."""
    card = folder / CARD
    if not card.is_file():
        return
    try:
        written = json.loads(read_ordinary(card))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        written = None
    if written != dict(digests):
        remedy = f"Remove it with tais model remove {folder.name}, and have it made again"
        raise ManifestError(f"its files are not those that {CARD} names", place=where, remedy=remedy)


def digest_folder(folder: Path, key: str) -> dict[str, str]:
    """Return the same of any folder."""
    return _digests(folder, _files(folder), Place(file=str(folder), key=key))


def engine_files(settings: Mapping[str, JsonValue], key: str) -> dict[str, str]:
    """Return the digests of files and folders that an engine's settings name, by dotted key.

    Parameters
    ----------
    settings
        As the engine gets them.
    key
        Names them in errors.
    """
    found = {}
    for name, text in _texts(settings, ""):
        path = Path(text)
        try:
            if path.is_dir() and os.sep in text:
                found[name] = json_digest(digest_folder(path, f"{key}.{name}"))
            elif path.is_file():
                found[name] = sha256_file(path)
        except (OSError, ValueError):
            # Too long for a name, or one with NUL: no file.
            continue
    return found


def _digests(folder: Path, files: Iterator[Path] | list[Path], where: Place) -> dict[str, str]:
    try:
        return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(files)}
    except OSError as error:
        what = f"a file of it cannot be read: {error.strerror or error}"
        raise ManifestError(what, place=where, remedy="Point to a complete folder") from error


def _files(folder: Path) -> Iterator[Path]:
    """Yield files, behind links too: an engine follows them."""
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = Path(here).resolve()
        if real in seen:
            # A link that leads back up.
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _CLUTTER_FOLDERS.fullmatch(name))
        yield from (
            Path(here) / name
            for name in names
            if not _CLUTTER.fullmatch(name) and (Path(here) / name).is_file()
        )


def _texts(value: JsonValue | Mapping[str, JsonValue], key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{key}.{index}")
    elif isinstance(value, str) and value:
        yield key, value
