"""Attempts at one screen are counted by what it asks, and a ledger whose tail was cut is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.rundir.ledger import attempts
from tais.rundir.lock import asked_digest, read_lock
from tests.attest.runs import write_screen
from tests.conftest import Tais


def _told(folder: Path) -> list[str]:
    newest = sorted(folder.glob("out/small/2*/report.json"))[-1]
    ledger = json.loads(newest.read_bytes())["facts"]["run"]["ledger"]
    return [one["outcome"] for one in ledger["attempts"]]


@pytest.mark.slow
def test_a_comment_makes_no_other_screen_and_a_cut_tail_is_counted(tais: Tais, tmp_path: Path) -> None:
    path, ledger = write_screen(tmp_path), tmp_path / "out" / "small" / "ledger.jsonl"
    assert tais("run", path, "--out", "out").returncode == 0
    path.write_text(f"# again\n{path.read_text()}")
    assert tais("run", path, "--out", "out").returncode == 0
    assert _told(tmp_path) == ["pass", "unfinished"]
    # The second run is taken off the end, which leaves a chain without a gap.
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:2]))
    path.write_text(f"# and again\n{path.read_text()}")
    done = tais("run", path, "--out", "out")
    assert "the ledger does not know" in done.stderr
    assert _told(tmp_path) == ["pass", "not in the ledger", "unfinished"]


def test_what_is_asked_counts(small_run: Path) -> None:
    lock = read_lock(small_run)
    rules = lock.rules.model_copy(update={"margin": 0.5})
    source = lock.manifest.model_copy(update={"sha256": "0" * 64})
    assert asked_digest(lock.model_copy(update={"manifest": source, "name": "other"})) == asked_digest(lock)
    assert asked_digest(lock.model_copy(update={"rules": rules})) != asked_digest(lock)
    entry = {"event": "end", "run": "r", "time": "1", "outcome": "fail", "manifest": "m"}
    assert len(attempts([{**entry, "asked": "a"}], "m", "b")) == 0
    assert len(attempts([{**entry, "asked": "a"}], "other", "a")) == 1
    # Entries of older versions say nothing of what was asked.
    assert len(attempts([entry], "m", "a")) == 1
