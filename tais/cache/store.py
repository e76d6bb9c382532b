"""The cache itself: one entry per address, in a folder or behind any address that fsspec opens.

::

    <cache>/<first two digits>/<address>/entry.json    what the entry holds, with the sha256 of each file
    <cache>/<first two digits>/<address>/<digest>/part-*.parquet, engine.json

An entry of answers to probes holds the questions, items.parquet, in place of engine.json. Beside the entries,
``<key>/chat_template_date`` keeps the day that an arm's template read, for later runs of the same arm.

``entry.json`` is written last and names the folder, so that a reader sees a whole entry or none. The digests
guard against damage, not against whoever may write to the cache: trust it as you trust a run directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import posixpath
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from tais.cache.address import SCHEMA
from tais.common.files import canonical_json, sha256_file
from tais.errors import Place, UsageError

__all__ = ["CacheStore", "Damaged", "Entry", "Origin"]

_FILE = re.compile(r"part-\d{5}\.parquet|engine\.json|items\.parquet")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_DAY = "chat_template_date"


class Damaged(Exception):
    """An entry that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an arm really ran."""

    run: str
    arm: str
    date: str
    machine: str
    tais: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a cache holds of one arm."""

    address: str
    folder: str
    files: Mapping[str, str]
    """sha256 (hex) by name."""
    samples: int
    resolved: str
    """Digest of the configuration that the engine resolved to."""
    origin: Origin

    @property
    def digest(self) -> str:
        """sha256 (hex) of the entry's own text."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return entry.json."""
        return canonical_json({"schema": SCHEMA, **asdict(self)}) + b"\n"

    @classmethod
    def parse(cls, data: bytes, address: str) -> Entry:
        """Read entry.json.

        Raises
        ------
        Damaged
            When it is none, or of another address.
        """
        try:
            value = json.loads(data)
            if value.pop("schema") != SCHEMA:
                raise Damaged("it has another schema")
            entry = cls(**{**value, "origin": Origin(**value["origin"])})
            names_fit = all(_FILE.fullmatch(n) and _DIGEST.fullmatch(d) for n, d in entry.files.items())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Damaged("its entry.json cannot be read") from error
        if entry.address != address or not names_fit or not re.fullmatch(r"[0-9a-f]{32}", entry.folder):
            raise Damaged("its entry.json is not of this address")
        return entry


class CacheStore:
    """Entries by address.

    Parameters
    ----------
    where
        A folder, or a URL of a file system that fsspec knows.

    Raises
    ------
    UsageError
        When no such file system is known here.
    """

    def __init__(self, where: str) -> None:
        # Only a run with a cache pays for its import.
        from fsspec.core import url_to_fs

        self.where = where
        try:
            self._fs, self._root = url_to_fs(where)
        except (ValueError, ImportError, OSError) as error:
            raise UsageError(
                f"the cache cannot be opened ({error})",
                place=Place(key="--cache", file=where),
                remedy="Name a folder, or install the package that opens such addresses",
            ) from error

    def _path(self, address: str, *names: str) -> str:
        return posixpath.join(self._root, address[:2], address, *names)

    def find(self, address: str) -> Entry | None:
        """Return the entry of an address; None where there is none.

        Raises
        ------
        Damaged
            When there is one that cannot be read.
        """
        try:
            data = self._fs.cat_file(self._path(address, "entry.json"))
        except FileNotFoundError:
            return None
        except Exception as error:  # a foreign file system raises what it likes; the run goes on without it
            raise Damaged(f"it cannot be read ({_said(error)})") from error
        return Entry.parse(data, address)

    def find_day(self, key: str) -> str | None:
        """Return the day that templates read when an arm first came here; None where that is not known.

        Parameters
        ----------
        key
            Of :func:`tais.cache.address.day_key`.
        """
        try:
            found = self._fs.cat_file(self._path(key, _DAY)).decode("ascii")
            return date.fromisoformat(found).isoformat()
        except Exception:  # as in find, and a file that says no day: the run takes its own
            return None

    def put_day(self, key: str, day: str) -> None:
        """Keep the day of an arm, where none is kept yet."""
        if self.find_day(key) is None:
            with contextlib.suppress(Exception):  # a foreign file system; the entry itself is stored
                self._fs.makedirs(self._path(key), exist_ok=True)
                self._fs.pipe_file(self._path(key, _DAY), day.encode("ascii"))

    def fetch(self, entry: Entry, folder: Path) -> None:
        """Copy the files of an entry into an existing folder.

        Raises
        ------
        Damaged
            When a file is missing or is not what the entry says.
        """
        for name, digest in entry.files.items():
            try:
                found = self._copy(self._path(entry.address, entry.folder, name), folder / name)
            except Exception as error:  # as above
                raise Damaged(f"{name} cannot be read ({_said(error)})") from error
            if found != digest:
                raise Damaged(f"{name} is not what was stored")

    def _copy(self, source: str, target: Path) -> str:
        digest = hashlib.sha256()
        with self._fs.open(source, "rb") as read, target.open("wb") as write:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                write.write(chunk)
        return digest.hexdigest()

    def put(self, address: str, files: Sequence[Path], samples: int, resolved: str, origin: Origin) -> Entry:
        """Store an arm; whoever reads meanwhile sees the entry before, or this one whole.

        Raises
        ------
        Damaged
            When it cannot be stored.
        """
        digests = {path.name: sha256_file(path) for path in files}
        entry = Entry(address, uuid.uuid4().hex, digests, samples, resolved, origin)
        before = None
        with contextlib.suppress(Damaged):
            before = self.find(address)
        try:
            self._fs.makedirs(self._path(address, entry.folder), exist_ok=True)
            for path in files:
                self._fs.put_file(str(path), self._path(address, entry.folder, path.name))
            temporary = self._path(address, entry.folder, "entry.json")
            self._fs.pipe_file(temporary, entry.to_bytes())
            self._fs.mv(temporary, self._path(address, "entry.json"))
            if before is not None:
                self._fs.rm(self._path(address, before.folder), recursive=True)
        except Exception as error:  # as above
            raise Damaged(f"it cannot be stored ({_said(error)})") from error
        return entry


def _said(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:200]
