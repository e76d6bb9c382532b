"""A process that has touched a GPU forks no arm: each gets an interpreter of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tais.worker import devices
from tais.worker.devices import touched_device
from tests.conftest import ROOT, Screen, Tais, without_times

# Stands in the place of the interpreter of a worker process: torch is there, and has initialised CUDA.
TOUCHED = """#!/bin/sh
for last in "$@"; do :; done
exec {python} -c "
import sys, types
torch = types.ModuleType('torch')
torch.cuda = types.SimpleNamespace(is_initialized=lambda: True)
sys.modules['torch'] = torch
sys.argv = ['worker', sys.argv[1]]
from tais.worker.main import main
main()
" "$last"
"""


def test_a_driver_that_is_open_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert touched_device() is None
    marker = tmp_path / "nvidia-uvm"
    monkeypatch.setattr(devices, "_OPENED", (str(marker),))
    with marker.open("w"):
        assert touched_device() == f"{marker} is open"
    assert touched_device() is None


@pytest.mark.slow
def test_arms_are_spawned_where_imports_have_touched_a_gpu(
    tais: Tais, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = tais("run", screen.path, "--out", screen.out)
    assert forked.returncode == 0, forked.stderr
    python = tmp_path / "touched"
    python.write_text(TOUCHED.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setattr("tais.executors.process.sys.executable", str(python))
    spawned = tais("run", screen.path, "--out", tmp_path / "spawned", PYTHONPATH=str(ROOT))
    assert spawned.returncode == 0, spawned.stderr
    logs = next((tmp_path / "spawned").glob("*/*/logs/worker.log")).read_text()
    assert "torch.cuda is initialised, so every arm gets an interpreter of its own" in logs
    first, second = (
        json.loads(next(out.glob("*/*/report.json")).read_text())
        for out in (screen.out, tmp_path / "spawned")
    )
    assert without_times(first) == without_times(second)
