"""``tools/house.py`` on a house of six files whose figures are counted by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import house

sys.path.pop(0)

CONFIG = """\
[[tool.importlinter.contracts]]
type = "layers"
containers = ["tais"]
layers = ["cli", "runs | gate", "errors"]
"""
FILES = {
    "__init__.py": "",
    "errors.py": "from typing import Any\n\n\ndef read(text: str) -> Any:\n    return text\n",
    "cli/__init__.py": "",
    # Down the road; the import of another package is counted apart.
    "cli/main.py": "from tais.runs.run import go\n\n\ndef main():\n    import json\n    return json, go\n",
    # Two modules that import each other, one of them inside a function, and one import that runs back up.
    "runs/run.py": "from . import plan\n\n\ndef go():\n    return plan\n",
    "runs/plan.py": "def f():\n    from tais.cli import main\n    import tais.runs.run\n\n    return main\n",
}


@pytest.fixture
def figures(tmp_path: Path) -> house.Figures:
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    for name, text in FILES.items():
        path = tmp_path / "tais" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return house.house(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", 6),
        ("lines", 21),
        ("files over 450 lines", 0),
        ("rooms", 2),
        ("Python files directly under tais/", 2),
        # plan imports main and run, main imports run, run imports plan.
        ("circles of modules", 1),
        ("modules in circles", 3),
        ("arrows between rooms", 2),
        ("rooms in circles", 2),
        # Both rooms stand on one floor, since each imports the other.
        ("floors", 1),
        ("imports that run back up", 1),
        ("imports of tais inside functions", 2),
        ("imports of other packages inside functions", 1),
        ("Any", 1),
        ("Any per 1,000 lines", round(1000 / 21, 2)),
        ("functions", 4),
        ("lines of a function, mean", 3.0),
        ("lines of a function, longest", 5),
        ("functions over 40 lines", 0),
    ],
)
def test_figures_are_those_counted_by_hand(figures: house.Figures, name: str, value: float) -> None:
    assert figures[name] == value


def test_without_a_contract_nothing_runs_up(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "tais").mkdir()
    (tmp_path / "tais" / "a.py").write_text("import tais.a\n")
    assert house.house(tmp_path)["imports that run back up"] is None
    assert "imports that run back up" in house.table(house.house(tmp_path))


def test_floors_are_the_longest_chain() -> None:
    assert house.floors(house.graph([("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])) == 3
    assert house.floors(house.graph([("a", "b"), ("b", "a"), ("b", "c")])) == 2


def test_this_house_has_no_circle_no_way_back_up_and_few_any() -> None:
    found = house.house(ROOT)
    assert (found["circles of modules"], found["rooms in circles"], found["imports that run back up"]) == (
        0,
        0,
        0,
    )
    assert found["files over 450 lines"] == 0
    assert float(found["Any per 1,000 lines"] or 99) <= 5
