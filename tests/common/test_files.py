"""Files and folders that are either whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tais.common.files import atomic_folder, atomic_path


def test_a_file_takes_its_name_when_it_is_whole_and_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    target = tmp_path / "file"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert synced == [temporary.name, tmp_path.name]
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_was_there_stays_where_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"

    def fail() -> None:
        with atomic_folder(target) as temporary:
            (temporary / "file").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(target.parent.iterdir()) == []
    with atomic_folder(target) as temporary:
        (temporary / "file").write_text("whole")
    assert (target / "file").read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]
