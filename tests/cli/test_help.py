"""What ``tais --help`` lists, and what asking for help costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tais.cli.main import COMMANDS, Entry, run_command
from tests.conftest import ROOT

HEAVY = ("numpy", "pyarrow", "pandas", "scipy", "torch", "transformers", "vllm", "matplotlib")
NAMES = [entry.name for entry in COMMANDS]


def after_help(*lines: str) -> set[str]:
    """Names of the modules that are loaded when this help has been shown."""
    code = (
        "import contextlib, io, json, sys\n"
        "from tais.cli.main import run_command\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    codes = [run_command([*line.split(), '--help']) for line in {lines!r}]\n"
        "print(json.dumps([codes, sorted(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    codes, modules = json.loads(done.stdout)
    assert set(codes) == {0}, done.stderr
    return set(modules)


def test_the_list_of_commands_imports_none_of_them() -> None:
    loaded = after_help("")
    assert {f"tais.cli.{entry.module}" for entry in COMMANDS} & loaded == set()
    # What a command decides or runs is not needed to list it, either.
    assert {"pydantic", *HEAVY} & loaded == set()


def test_the_help_of_a_command_loads_no_numbers_and_no_engine() -> None:
    groups = ["draft adversarial", "battery check", "law bench", "law data", "adjudicate import"]
    assert set(HEAVY) & after_help(*NAMES, *groups) == set()


@pytest.mark.parametrize("entry", COMMANDS, ids=NAMES)
def test_the_list_says_of_a_command_what_its_own_help_says(
    entry: Entry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    assert run_command([entry.name, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f" {entry.line} " in said


def test_a_shell_completes_commands_and_options() -> None:
    for words, wanted in (("tais ru", {"run", "runs"}), ("tais report --fo", {"--format"})):
        environment = {
            "_TAIS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        line = [sys.executable, "-c", "from tais.cli.main import main; main()"]
        done = subprocess.run(
            line, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert set(done.stdout.split()) == wanted, done.stderr
