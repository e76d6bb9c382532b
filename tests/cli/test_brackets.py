"""No message loses its brackets: an extra to install that vanished is the wrong command."""

from __future__ import annotations

import ast
import io
import re
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from rich.table import Table

from tais.cli.console import plain_console, say, stderr_console
from tais.common.install import pip_install
from tests.conftest import ROOT, Screen, Tais

CLI = ROOT / "tais" / "cli"
EXTRA = re.compile(r"\[[a-z]+\]'")


def messages() -> list[str]:
    """Every command that installs an extra, and every string in the source that names one by itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [pip_install(extra, on_gpu="gpu") for extra in project["optional-dependencies"]]
    for path in sorted((ROOT / "tais").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and EXTRA.search(node.value):
                found.append(node.value)
    return found


def test_nothing_is_installed_by_a_name_on_an_index() -> None:
    pages = [
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
        *(ROOT / "tais").rglob("*.py"),
        ROOT / "action.yml",
    ]
    by_name = re.compile(r"pip install[^\n]*[ '\"]tais(?! @)\b(?:\[\w+\])?(?! @)['\" ]*$", re.MULTILINE)
    assert [page.name for page in pages if by_name.search(page.read_text(encoding="utf-8"))] == []


def test_every_message_with_an_extra_is_shown_with_it() -> None:
    found = messages()
    assert len(found) >= 10
    wide = max(map(len, found)) + 10
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        for text in found:
            line = " ".join(text.split())
            say(line)
            for console in (stderr_console(), plain_console(width=wide)):
                console.width = wide
                console.print(line)
                table = Table("what")
                table.add_row(line)
                console.print(table)
    for stream, times in ((out.getvalue(), 2), (err.getvalue(), 3)):
        lost = [t for t in set(found) if stream.count(" ".join(t.split())) < times * found.count(t)]
        assert lost == []


def test_consoles_are_made_where_markup_is_off() -> None:
    made = [
        f"{path.name}:{node.lineno}"
        for path in sorted(CLI.rglob("*.py"))
        if path.name != "console.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Console"
    ]
    assert made == []


def test_a_plan_names_the_extra_that_is_missing(
    tais: Tais, screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "far.yaml").write_text(
        "name: far\nsource: {hub: org/name, revision: " + "0" * 40 + "}\n"
        "columns: {id: id, prompt: prompt}\nexpect: refuse\nscorer: refusal\nlicense: CC0-1.0\n"
    )
    screen.data["batteries"].append({"name": "far", "path": "far.yaml"})
    screen.write()
    monkeypatch.setitem(sys.modules, "datasets", None)
    done = tais("plan", screen.path)
    assert "pip install '.[hub]' in a checkout of TAIS" in " ".join(done.stdout.split())
