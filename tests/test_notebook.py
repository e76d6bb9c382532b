"""The session of docs/notebook.md is run as it is printed, and its tables are those of the code."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import tais
from tais.frames import RunResult
from tests.conftest import ROOT
from tests.test_frames import COLUMNS

PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")


def test_every_block_runs_and_prints_what_stands_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks].count("text") >= 5
    printed, session = "", {"__name__": "notebook"}
    for kind, text in blocks:
        if kind == "text":
            assert printed == text
            printed = ""
            continue
        assert not printed, "what a block prints stands below it"
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(text, "notebook.md", "exec"), session)
        printed = out.getvalue()
    assert not printed
    assert isinstance(session["newest"], RunResult)


@pytest.mark.parametrize("frame", COLUMNS)
def test_the_columns_of_every_frame_are_told(frame: str) -> None:
    (row,) = re.findall(rf"^\| `run\.{frame}\(.*\)` \|.*\| (.*) \|$", PAGE, re.MULTILINE)
    told = re.findall(r"`(\w+)`", row)
    assert told == [name for name in COLUMNS[frame] if frame != "sweep" or name not in ("method", "n")]


def test_every_function_is_named() -> None:
    for name in tais.__all__:
        assert not name.islower() or re.search(rf"\b{name}\(", PAGE), name
