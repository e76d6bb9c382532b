"""Archives that unpack to more than anybody meant: refused by their index, and while read where that lies."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from tais.battery.logs import inspect_log
from tais.battery.logs.inspect_log import inspect_samples
from tais.common import packed
from tais.common.packed import open_zip
from tais.errors import ManifestError

SAMPLE = "samples/a_epoch_1.json"


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def says(path: Path, size: int) -> Path:
    """Write another size of the one member into the index, as whoever makes a bomb could."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


def test_a_member_that_is_too_dense_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = says(archive(tmp_path / "bomb.eval", {SAMPLE: b"0" * 4000}), 1 << 30)
    with pytest.raises(ManifestError, match="unpacks to 1024 MiB from 0 KiB"):
        open_zip(path)
    with pytest.raises(ManifestError, match="unpacks to 1024 MiB from 0 KiB"):
        list(inspect_samples(path))


@pytest.mark.parametrize(
    ("bound", "most", "what"),
    [("MOST_MEMBERS", 2, "more than 2 members"), ("MOST_ARCHIVED", 20, "packed in")],
)
def test_an_archive_of_too_much_is_refused_by_its_index(
    bound: str, most: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "log.eval", {f"samples/{i}_epoch_1.json": b'{"id": "x"}' for i in range(3)})
    open_zip(path).close()
    monkeypatch.setattr(packed, bound, most)
    with pytest.raises(ManifestError, match=what):
        open_zip(path)


def test_an_index_that_lies_is_caught_while_a_member_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_log, "_LARGEST_SAMPLE", 1 << 20)
    path = says(archive(tmp_path / "bomb.eval", {SAMPLE: b"0" * (3 << 20)}), 10)
    # Python reads as much as the index says and then misses the checksum, or the bound is reached.
    found = list(inspect_samples(path))
    assert [sample.trouble is not None for sample in found] == [True]
