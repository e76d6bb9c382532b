"""A run directory from somebody else stays data: no name in it leads elsewhere, and no link is followed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attest.runs import copy_run
from tests.conftest import Tais

Change = Callable[[Path], None]
SECRET = "the words of another file"


@pytest.fixture
def hostile(small_run: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """Make a copy of the small run, as somebody changed it."""

    def make(change: Change) -> Path:
        run_dir = copy_run(tmp_path / "in", small_run)
        (tmp_path / "secret").write_text(SECRET)
        change(run_dir)
        return run_dir

    return make


def _lock(edit: Callable[[dict[str, Any]], None]) -> Change:
    def change(run_dir: Path) -> None:
        path = run_dir / "manifest.lock.json"
        lock = json.loads(path.read_bytes())
        edit(lock)
        path.write_text(json.dumps(lock))

    return change


def _renamed_arm(name: str) -> Change:
    def edit(lock: dict[str, Any]) -> None:
        lock["arms"][name] = lock["arms"].pop("candidate")
        lock["contrasts"][0]["candidate"] = name

    return _lock(edit)


def _linked(name: str) -> Change:
    def change(run_dir: Path) -> None:
        # To the very bytes that belong there: nothing but the link is wrong.
        moved = run_dir.parent.parent / "elsewhere"
        shutil.move(run_dir / name, moved)
        (run_dir / name).symlink_to(moved)

    return change


def _pipe(name: str) -> Change:
    def change(run_dir: Path) -> None:
        (run_dir / name).unlink()
        os.mkfifo(run_dir / name)

    return change


def _judge(lock: dict[str, Any]) -> None:
    lock["batteries"][0]["scorer"] = {"name": "llama_guard", "version": "1", "judge": "../../../ctypes"}


def _run_name(lock: dict[str, Any]) -> None:
    lock["name"] = "../x"


HOSTILE = {
    "arm_leads_out": (_renamed_arm("../../../../ctypes"), "this is not what TAIS writes into a lock"),
    "arm_hides": (_renamed_arm(".arm"), "this is not what TAIS writes into a lock"),
    "arm_absolute": (_renamed_arm("/tmp/arm"), "this is not what TAIS writes into a lock"),
    "arm_of_two_lines": (_renamed_arm("a\nb"), "this is not what TAIS writes into a lock"),
    "name_leads_out": (_lock(_run_name), "this is not what TAIS writes into a lock"),
    "judge_leads_out": (_lock(_judge), "asks the judge '../../../ctypes', which is not there"),
    "lock_linked": (_linked("manifest.lock.json"), "its lock is missing or damaged"),
    "items_linked": (_linked("items.parquet"), "a link or special file"),
    "part_linked": (_linked("arms/target/part-00000.parquet"), "a link or special file"),
    "engine_linked": (_linked("arms/target/engine.json"), "special file"),
    "arm_linked": (_linked("arms/target"), "a link or special file"),
    "arms_linked": (_linked("arms"), "a link or special file"),
    "part_is_a_pipe": (_pipe("arms/target/part-00000.parquet"), "a link or special file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_compare_takes_nothing_from_outside_a_foreign_run(
    name: str, small_run: Path, hostile: Callable[[Change], Path], tais: Tais, tmp_path: Path
) -> None:
    change, said = HOSTILE[name]
    run_dir = hostile(change)
    before = _outside(tmp_path)
    sides = ("--reference", "target", "--candidate", "candidate", "--out", tmp_path / "out")
    # The items are taken from the candidate's run.
    runs = (small_run, run_dir) if name == "items_linked" else (run_dir, small_run)
    done = tais("compare", *runs, *sides)
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert _outside(tmp_path) == before


def test_a_comparison_holds_no_file_that_the_layout_does_not_know(
    small_run: Path, hostile: Callable[[Change], Path], tais: Tais, tmp_path: Path
) -> None:
    def plant(run_dir: Path) -> None:
        for name in ("ctypes.py", "part-1.parquet", ".hidden", "part-00000.parquet.sh"):
            (run_dir / "arms" / "target" / name).write_text(SECRET)
        (run_dir / "arms" / "target" / "tais").mkdir()
        (run_dir / "arms" / "target" / "tais" / "__init__.py").write_text(SECRET)

    done = tais(
        "compare", hostile(plant), small_run, "--reference", "target", "--candidate", "candidate"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = tmp_path / done.stdout.strip().partition("\t")[2]
    assert sorted(p.name for p in (made / "arms" / "target").rglob("*") if p.is_file()) == [
        "engine.json",
        "part-00000.parquet",
    ]


@pytest.mark.parametrize("name", ["part_linked", "arm_leads_out", "name_leads_out"])
def test_neither_audit_nor_adjudicate_nor_report_follows_it(
    name: str, hostile: Callable[[Change], Path], tais: Tais, tmp_path: Path
) -> None:
    change, said = HOSTILE[name]
    run_dir = hostile(change)
    before = _outside(tmp_path)
    for command in (
        ("adjudicate", "export", run_dir, "--out", tmp_path / "out" / "sheet.csv"),
        ("audit", run_dir, "--manifest", run_dir, "--reference", "target"),
        ("report", run_dir),
    ):
        done = tais(*command)
        assert done.returncode in (2, 4), done.stderr
        assert "unforeseen" not in done.stderr
    assert said in done.stderr
    assert _outside(tmp_path) == before


def _outside(folder: Path) -> set[str]:
    """Return all paths but those of the folder that the command was told to write to."""
    return {str(path) for path in folder.rglob("*") if "out" not in path.relative_to(folder).parts}
