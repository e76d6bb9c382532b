"""The exit code is the contract's whatever has become of the streams: 1 is a verdict and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attest.runs import SIGNED, TRUSTED
from tests.conftest import Screen, environment, finish, start

GOOD = ["verify", str(SIGNED), "--trusted-key", str(TRUSTED)]
BAD = ["verify", "nowhere", "--trusted-key", str(TRUSTED)]


@pytest.mark.parametrize(("arguments", "code"), [(GOOD, 0), (BAD, 5), (["verify", "--no-such"], 2)])
@pytest.mark.parametrize("streams", [">&- 2>&-", ">/dev/full 2>/dev/full", "<&- 2>&-", "2>/dev/full"])
def test_an_exit_code_holds_without_streams(
    arguments: list[str], code: int, streams: str, tmp_path: Path
) -> None:
    line = f'exec "$@" {streams}'
    command = ["bash", "-c", line, "bash", sys.executable, "-m", "tais", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), check=False, capture_output=True)
    assert done.returncode == code


def test_what_is_printed_to_a_closed_stream_is_in_no_file(tmp_path: Path) -> None:
    # Descriptor 1 would be the first file that is opened: the private key.
    command = ["bash", "-c", 'exec "$@" >&-', "bash", sys.executable, "-m", "tais", "keygen", "--out", "keys"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "keys").iterdir():
        assert path.read_text().startswith("-----BEGIN "), path
        assert path.read_text().rstrip().endswith("-----"), path


def test_an_exit_code_holds_without_a_reader(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tais", *GOOD]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), check=False, stdout=write, stderr=write)
    os.close(write)
    assert done.returncode == 0


def test_a_failure_outside_of_a_command_is_no_verdict(tmp_path: Path) -> None:
    code = "import tais.cli.main as m; m.run_command = lambda a: 1 / 0; m.main()"
    for variables in ({}, {"TAIS_DEBUG": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment() | variables,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 4


@pytest.mark.parametrize("arguments", [["verify", "nowhere"], ["report", "nowhere"], ["run", "demo"]])
def test_a_limit_that_libraries_hang_under_is_said(arguments: list[str], tmp_path: Path) -> None:
    # With 200 MiB pyarrow never came back from its import, and heard neither Ctrl-C nor SIGTERM.
    command = ["bash", "-c", 'ulimit -v 204800; exec "$@"', "bash", sys.executable, "-m", "tais", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 4
    assert done.stderr == (
        "tais: error: the address space of this process is limited to 200 MiB, and 1024 are needed. "
        "Lift it: ulimit -v unlimited\n"
    )
    assert done.stdout == ""


def test_a_closed_terminal_stops_a_run_as_ctrl_c_does(screen: Screen) -> None:
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        pytest.skip("started by nohup, whose children ignore the signal, as they should")
    screen.options("target", delay=0.2)
    process = start(screen)
    assert process.stderr is not None
    while "target: loading" not in process.stderr.readline():
        assert process.poll() is None
    code, err = finish(process, signal.SIGHUP)
    assert code == 130, err
    assert "Continue with --resume" in err
