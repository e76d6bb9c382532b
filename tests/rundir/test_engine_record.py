"""engine.json of an arm that cannot be read: what is blamed is what is at fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tais.errors import StoreError
from tais.rundir.engine_record import EngineRecord, read_engine


def _file(arm: Path) -> None:
    arm.write_text("x")


def _circle(arm: Path) -> None:
    arm.symlink_to(arm)


@pytest.mark.parametrize("make", [_file, _circle])
def test_an_arm_that_cannot_be_read_blames_no_file_in_it(make: object, tmp_path: Path) -> None:
    arm = tmp_path / "arm"
    assert callable(make)
    make(arm)
    with pytest.raises(StoreError, match="cannot be read") as raised:
        read_engine(arm)
    assert raised.value.place is not None
    assert raised.value.place.file == str(arm)


def test_a_file_is_blamed_where_it_is_the_file(tmp_path: Path) -> None:
    assert read_engine(tmp_path) == EngineRecord()
    os.mkfifo(tmp_path / "engine.json")
    with pytest.raises(StoreError, match="cannot be read") as raised:
        read_engine(tmp_path)
    assert raised.value.place is not None
    assert raised.value.place.file == str(tmp_path / "engine.json")
    (tmp_path / "engine.json").unlink()
    (tmp_path / "engine.json").write_text("[]")
    with pytest.raises(StoreError, match="does not say what the engine resolved to"):
        read_engine(tmp_path)
