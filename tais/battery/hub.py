"""Data sets of the Hugging Face hub: from a local copy under ``TAIS_DATA``, else through `datasets`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tais.battery.definition import Source
from tais.battery.rows import ENDINGS, Reading, Rows, read_rows
from tais.common.install import pip_install
from tais.common.text import first_line
from tais.errors import ManifestError, MissingData, Place

__all__ = ["data_roots", "find_local", "joined", "read_hub"]

DATA_VARIABLE = "TAIS_DATA"


def data_roots(data_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the folders with local copies: `data_dir`, then those of ``TAIS_DATA`` (like PATH)."""
    listed = os.environ.get(DATA_VARIABLE, "").split(os.pathsep)
    return tuple([data_dir] if data_dir else []) + tuple(Path(entry) for entry in listed if entry)


def read_hub(
    source: Source, roots: Sequence[Path], place: Place, how: Reading | None = None
) -> tuple[Rows, str]:
    """Read a hub data set.

    Parameters
    ----------
    source
        With `hub` set.
    roots
        Folders to look for local copies in, before the network.
    place
        Where the source is named, for errors.
    how
        How a local copy is read.

    Returns
    -------
    Rows, str
        The rows, and where they came from.
    """
    files = find_local(source, roots)
    if files:
        return joined(files, source, how), f"{source.hub} from {', '.join(str(f) for f in files)}"
    parts = [_through_datasets(source, config, roots, place) for config in source.configs]
    values = tuple(row for part in parts for row in part)
    if not values:
        raise ManifestError(
            f"{source.hub!r} has no rows in this split", place=place, remedy="Check the split"
        )
    rows = Rows(str(source.hub), "row", tuple(range(1, len(values) + 1)), values)
    return rows, f"{source.hub} at revision {source.revision or 'not pinned'}"


def find_local(source: Source, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of a local copy, empty where there is none.

    Looked for under each root: the names in ``source.local``; then, under ``org/name``, the split's file
    (``test.jsonl``, ``test-00000-of-00001.parquet``) in the configuration's folder, in ``data`` and above.
    """
    for root in roots:
        for name in source.local:
            if files := sorted(file for file in root.glob(name) if file.is_file()):
                return tuple(files)
        found = [_first_split(root, source, config) for config in source.configs]
        if all(found):
            return tuple(file for files in found for file in files)
    return ()


def _first_split(root: Path, source: Source, config: str | None) -> tuple[Path, ...]:
    base = root / (source.hub or "")
    folders = [base / "data", base]
    if config:
        folders = [base / config, base / "data" / config, *folders]
    # A file called after the split says nothing about the configuration; one called after it does.
    several = isinstance(source.config, tuple)
    for folder in folders:
        stems = (
            [config] if several and config and folder.name != config else [source.split or "train", config]
        )
        for stem in filter(None, stems):
            if files := _stem_files(folder, stem):
                return files
    return ()


def _stem_files(folder: Path, stem: str) -> tuple[Path, ...]:
    for ending in ENDINGS:
        if (folder / f"{stem}{ending}").is_file():
            return (folder / f"{stem}{ending}",)
        if shards := sorted(folder.glob(f"{stem}-*-of-*{ending}")):
            return tuple(shards)
    return ()


def joined(files: Sequence[Path], source: Source, how: Reading | None) -> Rows:
    """Return the rows of several files of one source; of a path with ``*``, each with its ``file``."""
    parts = [read_rows(file, source.format, how) for file in files]
    if len(parts) == 1:
        return parts[0]
    if source.path is not None:
        named = zip(files, parts, strict=True)
        values = tuple({"file": file.stem, **row} for file, part in named for row in part.values)
    else:
        values = tuple(row for part in parts for row in part.values)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    where = source.hub or source.path or ""
    return Rows(where, "row", tuple(range(1, len(values) + 1)), values, notes)


def _through_datasets(
    source: Source, config: str | None, roots: Sequence[Path], place: Place
) -> tuple[dict[str, object], ...]:
    remedy = _local_remedy(source, config, roots)
    try:
        import datasets
    except ImportError as error:
        what = f"reading {source.hub!r} needs the package 'datasets'"
        raise MissingData(what, place=place, remedy=f"{pip_install('hub')}, or {remedy}") from error
    try:
        data: Any = datasets.load_dataset(
            source.hub, config, split=source.split or "train", revision=source.revision or None
        )
        return tuple(dict(row) for row in data)
    # `datasets` lets errors of half a dozen libraries through; all of them mean: no rows.
    except Exception as error:
        reason = first_line(error).rstrip(".")
        what = f"cannot load {source.hub!r} from the hub: {reason}"
        raise MissingData(what, place=place, remedy=f"Check name and network, or {remedy}") from error


def _local_remedy(source: Source, config: str | None, roots: Sequence[Path]) -> str:
    folder = f"{source.hub}/{config}" if config else str(source.hub)
    names = " or ".join([*source.local, f"{folder}/{source.split or 'train'}.jsonl"])
    if not roots:
        return f"point {DATA_VARIABLE} at a folder with the file {names}"
    return f"put the file {names} under {roots[0]} ({DATA_VARIABLE})"
