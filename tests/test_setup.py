"""Set-up says in one line what is missing: Python, disk or network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def setup(tmp_path: Path, *, path: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, "VENV": str(tmp_path / "venv")} | variables
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    command = ["bash", str(ROOT / "tools" / "setup.sh"), "cpu"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return str(folder)


def test_no_python(tmp_path: Path) -> None:
    done = setup(tmp_path, PYTHON="python-that-is-not-there")
    assert done.returncode == 2
    assert "no 'python-that-is-not-there' found. Install Python 3.11 or newer" in done.stderr


def test_an_old_python(tmp_path: Path) -> None:
    old = program(
        tmp_path / "bin", "python-old", 'case "$1" in --version) echo Python 3.8.1;; *) exit 1;; esac'
    )
    done = setup(tmp_path, path=old, PYTHON="python-old")
    assert done.returncode == 2
    assert "Python 3.8.1 is too old" in done.stderr


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    small = program(tmp_path / "bin", "df", "echo header; echo 'x 9000 8500 500 95% /'")
    done = setup(tmp_path, path=small)
    assert done.returncode == 2
    assert "500 MB are free and the CPU stack needs 6000" in done.stderr


@pytest.mark.slow
def test_no_network(tmp_path: Path) -> None:
    roomy = program(tmp_path / "bin", "df", "echo header; echo 'x 99000 0 90000 1% /'")
    done = setup(
        tmp_path, path=roomy, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path), PIP_CONFIG_FILE="/dev/null"
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "pip cannot reach its index" in last
    assert "Traceback" not in done.stderr
