"""docs/leak.md names only what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tais

DOCS = (ROOT / "docs" / "leak.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^tais (leak .*)$", DOCS, re.MULTILINE)


def test_every_option_is_one_of_the_command(tais: Tais) -> None:
    done = tais("leak", "--help", COLUMNS="200", TERMINAL_WIDTH="200")
    named = set(re.findall(r"--[a-z][a-z-]+", DOCS))
    known = set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    assert len(named) > 10
    assert named <= known
    # And the other way round: nothing is left undocumented but what every command has.
    assert known - named <= {"--help", "--quiet"}


@pytest.mark.slow
def test_first_example_runs_as_it_is_written(tais: Tais, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("Name three kinds of bread.\n", encoding="utf-8")
    arguments = shlex.split(
        COMMANDS[0].replace("models/demo/target", str(ROOT / "models" / "demo" / "target"))
    )
    done = tais(*arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "leak" / "leak.html").exists()
    assert (tmp_path / "leak" / "leak.json").exists()
