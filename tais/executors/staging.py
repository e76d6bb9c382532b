"""How answers come back from other processes and machines: whole parts, collected into the run directory.

Workers never write into an arm's folder. Each attempt at a piece of work has a folder of its own, under
``.staging`` of the run directory or under a shared folder or URL, with the path of the arm's folder below it.
The run, and nobody else, takes parts from there: a part is taken once, and of two answers to one request
the first counts. So a worker that was given up and lives on can neither lose nor double a sample, and the
run directory is the same whichever way its parts came.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tais.common.files import canonical_json, store_error, sync_directory, write_atomic
from tais.common.install import pip_install
from tais.common.text import first_line
from tais.errors import Place, StoreError
from tais.rundir.engine_record import compare_resolved
from tais.rundir.layout import AUDITS, ENGINE, OWN_ANSWERS
from tais.rundir.samples import part_files, read_batches

__all__ = ["STAGING", "Collector", "Depot", "RunDepot", "Shared", "merge_engine", "open_depot", "sweep"]

STAGING = ".staging"
_SAMPLE_KEY = ("battery", "item_id", "repeat")
_AUDIT_KEY = ("arm", *_SAMPLE_KEY, "first")

# An attempt's own number, the folder in the run directory, and the file; anything else is no answer.
_STAGED = re.compile(r"[0-9a-f]{32}/(arms|judges|audits)/.+/(engine\.json|part-\d{5}\.parquet)")

Key = tuple[str | int, ...]


class Collector:
    """Takes parts into one folder: an arm's, a judge's or an audit's.

    Parameters
    ----------
    folder
        Where they go.
    audit
        Whether they hold scores of an audit, which have other keys.

    Raises
    ------
    StoreError
        When a part that is there is damaged, or holds an answer that another one holds.
    """

    def __init__(self, folder: Path, *, audit: bool = False) -> None:
        self.folder = folder
        self._columns = _AUDIT_KEY if audit else _SAMPLE_KEY
        self.keys: set[Key] = set()
        for batch in read_batches(folder, self._columns, batch_size=65536):
            for key in self._keys(batch):
                if key in self.keys:
                    raise StoreError(
                        f"the answer to {key[-2:]} is stored twice",
                        place=Place(file=str(folder)),
                        remedy="Take the run directory from its backup, or run the screen again",
                    )
                self.keys.add(key)

    def _keys(self, batch: pa.RecordBatch | pa.Table) -> list[Key]:
        columns = (batch.column(name).to_pylist() for name in self._columns)
        return list(zip(*columns, strict=True))

    def take(self, path: Path) -> int:
        """Move one part into the folder and return how many answers it brought.

        A part that cannot be read is left out: what it held counts as missing.
        """
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError):
            path.unlink(missing_ok=True)
            return 0
        keys = self._keys(table)
        fresh = [key not in self.keys for key in keys]
        if not any(fresh):
            path.unlink(missing_ok=True)
            return 0
        if not all(fresh):
            # An attempt that was given up answered some of these as well.
            pq.write_table(table.filter(pa.array(fresh)), path, compression="zstd")
        self._move(path)
        self.keys.update(keys)
        return sum(fresh)

    def _move(self, path: Path) -> None:
        parts = part_files(self.folder)
        number = int(parts[-1].name[5:10]) + 1 if parts else 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.rename(self.folder / f"part-{number:05d}.parquet")
            sync_directory(self.folder)
        except OSError as error:
            raise store_error(error, self.folder) from error


def merge_engine(folder: Path, told: Path) -> None:
    """Keep what one worker's engine resolved to, a file that it wrote, in an arm's engine.json.

    The first worker writes it. Another one must have resolved to the same configuration; where it runs on
    another machine, its environment is added under ``other_environments``.

    Raises
    ------
    StoreError
        When the configuration is another one.
    """
    path = folder / ENGINE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # As it was written, with its time: before the first token.
        told.rename(path)
        return
    now = json.loads(told.read_text(encoding="utf-8"))
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        difference
        for difference in compare_resolved(before["resolved"], now["resolved"], ())
        # As in a resumed run: free memory differs from machine to machine.
        if not difference.key.startswith("cache_config.")
    ]
    if changed:
        first = changed[0]
        raise StoreError(
            f"the engine resolves to another configuration than on another worker or before: {first.key} was "
            f"{first.reference!r} and is {first.candidate!r}",
            place=Place(file=str(path)),
            remedy="Give all nodes the same software and settings, or start a new run without --resume",
        )
    known = [before["environment"], *before.get("other_environments", [])]
    if all(compare_resolved(one, now["environment"], ()) for one in known):
        others = [*before.get("other_environments", []), now["environment"]]
        write_atomic(path, canonical_json({**before, "other_environments": others}) + b"\n")


class Depot(Protocol):
    """Where workers leave their parts."""

    def bring(self, name: str) -> Path:
        """Return a file that workers left, as a file of the run directory's file system."""
        ...

    def names(self, attempt: str) -> list[str]:
        """Return the names of all files that an attempt left, parts in the order in which they were made."""
        ...

    def publish(self, run_dir: Path, files: list[str]) -> None:
        """Make files of the run directory readable for workers."""
        ...

    def remove(self, attempt: str = "") -> None:
        """Remove what an attempt, or everybody, left."""
        ...


class RunDepot:
    """A folder of the run directory, which all workers see."""

    def __init__(self, run_dir: Path) -> None:
        self.root = run_dir.resolve() / STAGING

    def bring(self, name: str) -> Path:
        """Return where a file lies."""
        return self.root / name

    def names(self, attempt: str) -> list[str]:
        """Return the files of an attempt."""
        found = (path for path in (self.root / attempt).rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.root)) for path in found if not path.name.startswith("."))

    def publish(self, run_dir: Path, files: list[str]) -> None:
        """Do nothing: workers read the run directory itself."""

    def remove(self, attempt: str = "") -> None:
        """Remove a folder."""
        shutil.rmtree(self.root / attempt, ignore_errors=True)


class Shared:
    """A folder or URL that workers reach while they do not see the run directory.

    Parameters
    ----------
    url
        Of a file system that fsspec knows, such as ``s3://bucket/folder``, or a folder.
    run_dir
        The run directory; on a worker a local folder that stands for it.

    Raises
    ------
    StoreError
        When fsspec is not installed or does not know such an address.
    """

    def __init__(self, url: str, run_dir: Path) -> None:
        try:
            from fsspec.core import url_to_fs

            self._fs, self.path = url_to_fs(url)
        except ImportError as error:
            what = f"{error}".split(":", maxsplit=1)[0]
            remedy = f"Install it: {pip_install('ray')}, and what its kind of address needs"
            raise StoreError(what, place=Place(key=f"--shared {url}"), remedy=remedy) from error
        except (ValueError, OSError) as error:
            raise StoreError(
                first_line(error),
                place=Place(key=f"--shared {url}"),
                remedy="Name a folder, or a URL such as s3://bucket/folder",
            ) from error
        self.root = run_dir.resolve() / STAGING

    def put(self, path: Path, name: str) -> None:
        """Copy a file there; it takes its name when it is whole."""
        target = f"{self.path}/{name}"
        temporary = f"{target}.{uuid.uuid4().hex}.tmp"
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self._fs.put_file(str(path), temporary)
        self._fs.mv(temporary, target)

    def get(self, name: str, path: Path) -> None:
        """Copy a file from there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(f"{self.path}/{name}", str(path))

    def bring(self, name: str) -> Path:
        """Fetch a file."""
        path = self.root / name
        self.get(name, path)
        return path

    def names(self, attempt: str) -> list[str]:
        """Return the files of an attempt."""
        base = f"{self.path}/{attempt}".rstrip("/")
        self._fs.invalidate_cache()
        if not self._fs.exists(base):
            return []
        prefix = str(self._fs._strip_protocol(self.path)).rstrip("/") + "/"
        found = (str(path).removeprefix(prefix) for path in self._fs.find(base))
        return sorted(name for name in found if not name.endswith(".tmp"))

    def publish(self, run_dir: Path, files: list[str]) -> None:
        """Copy files there, under ``inputs``."""
        for name in files:
            self.put(run_dir / name, f"inputs/{name}")

    def remove(self, attempt: str = "") -> None:
        """Remove everything under a name; what is already gone is no failure."""
        base = f"{self.path}/{attempt}".rstrip("/")
        if self._fs.exists(base):
            self._fs.rm(base, recursive=True)
        shutil.rmtree(self.root / attempt, ignore_errors=True)


def open_depot(run_dir: Path, url: str | None) -> RunDepot | Shared:
    """Return where the workers of a run leave their parts; under a URL, runs have a folder each."""
    if url is None:
        return RunDepot(run_dir)
    return Shared(f"{url.rstrip('/')}/{run_dir.resolve().name}", run_dir)


def staged(names: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield what attempts left: a file's name, and the folder of the run directory that it is meant for."""
    for name in names:
        if _STAGED.fullmatch(name) and ".." not in (folder := Path(*Path(name).parts[1:-1])).parts:
            yield name, folder


def sweep(run_dir: Path, depot: Depot) -> int:
    """Take what an earlier run left uncollected, and return how many answers that brought."""
    collectors: dict[Path, Collector] = {}
    taken = 0
    for name, folder in staged(depot.names("")):
        if name.endswith(ENGINE):
            if not (run_dir / folder / ENGINE).exists():
                merge_engine(run_dir / folder, depot.bring(name))
        elif name.endswith(".parquet"):
            if folder not in collectors:
                scores = folder.parts[0] == AUDITS and not folder.name.startswith(OWN_ANSWERS)
                collectors[folder] = Collector(run_dir / folder, audit=scores)
            taken += collectors[folder].take(depot.bring(name))
    depot.remove()
    return taken
