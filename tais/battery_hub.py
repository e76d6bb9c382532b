"""Data sets of the Hugging Face hub: from a local copy under ``TAIS_DATA``, else through `datasets`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tais.battery_definition import Source
from tais.battery_source import FORMATS, Rows, read_rows
from tais.errors import ManifestError, Place

__all__ = ["data_roots", "find_local", "read_hub"]

DATA_VARIABLE = "TAIS_DATA"


def data_roots(data_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the folders with local copies: `data_dir`, then those of ``TAIS_DATA`` (like PATH)."""
    listed = os.environ.get(DATA_VARIABLE, "").split(os.pathsep)
    return tuple([data_dir] if data_dir else []) + tuple(Path(entry) for entry in listed if entry)


def read_hub(source: Source, roots: Sequence[Path], place: Place) -> tuple[Rows, str]:
    """Read a hub data set.

    Parameters
    ----------
    source
        With `hub` set.
    roots
        Folders to look for local copies in, before the network.
    place
        Where the source is named, for errors.

    Returns
    -------
    Rows, str
        The rows, and where they came from.
    """
    files = find_local(source, roots)
    if files:
        return _joined(files, source), f"{source.hub} from {', '.join(str(f) for f in files)}"
    rows = _through_datasets(source, roots, place)
    return rows, f"{source.hub} at revision {source.revision or 'not pinned'}"


def find_local(source: Source, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of a local copy, empty where there is none.

    Looked for under each root: the names in ``source.local``; then, under ``org/name``, the split's file
    (``test.jsonl``, ``test-00000-of-00001.parquet``) in the configuration's folder, in ``data`` and above.
    """
    for root in roots:
        for name in source.local:
            if (root / name).is_file():
                return (root / name,)
        for folder in _folders(root, source):
            if files := _split_files(folder, source):
                return files
    return ()


def _folders(root: Path, source: Source) -> Iterator[Path]:
    base = root / (source.hub or "")
    if source.config:
        yield from (base / source.config, base / "data" / source.config)
    yield from (base / "data", base)


def _split_files(folder: Path, source: Source) -> tuple[Path, ...]:
    stems = [source.split or "train"] + ([source.config] if source.config else [])
    for stem in stems:
        for ending in FORMATS:
            if (folder / f"{stem}{ending}").is_file():
                return (folder / f"{stem}{ending}",)
            if shards := sorted(folder.glob(f"{stem}-*-of-*{ending}")):
                return tuple(shards)
    return ()


def _joined(files: tuple[Path, ...], source: Source) -> Rows:
    parts = [read_rows(file, records=source.records) for file in files]
    if len(parts) == 1:
        return parts[0]
    values = tuple(row for part in parts for row in part.values)
    return Rows(f"{source.hub}", "row", tuple(range(1, len(values) + 1)), values)


def _through_datasets(source: Source, roots: Sequence[Path], place: Place) -> Rows:
    try:
        import datasets
    except ImportError as error:
        what = f"reading {source.hub!r} needs the package 'datasets'"
        remedy = f"pip install 'tais[hub]', or {_local_remedy(source, roots)}"
        raise ManifestError(what, place=place, remedy=remedy) from error
    try:
        data: Any = datasets.load_dataset(
            source.hub, source.config, split=source.split or "train", revision=source.revision or None
        )
    # `datasets` lets errors of half a dozen libraries through; all of them mean: no rows.
    except Exception as error:
        reason = (str(error) or type(error).__name__).partition("\n")[0].rstrip(".")
        what = f"cannot load {source.hub!r} from the hub: {reason}"
        remedy = f"Check the name and the network, or {_local_remedy(source, roots)}"
        raise ManifestError(what, place=place, remedy=remedy) from error
    values = tuple(dict(row) for row in data)
    if not values:
        raise ManifestError(
            f"{source.hub!r} has no rows in this split", place=place, remedy="Check the split"
        )
    return Rows(str(source.hub), "row", tuple(range(1, len(values) + 1)), values)


def _local_remedy(source: Source, roots: Sequence[Path]) -> str:
    split = f"{source.config + '/' if source.config else ''}{source.split or 'train'}.jsonl"
    names = [*source.local, f"{source.hub}/{split}"]
    missing = " or ".join(str(roots[0] / name) if roots else name for name in names)
    where = "put there" if roots else f"point {DATA_VARIABLE} at a folder with"
    return f"{where} the file {missing}" if not roots else f"{DATA_VARIABLE} lacks the file {missing}"
