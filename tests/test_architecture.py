"""docs/architecture.md names every room, in the order of the import rules, and only files that exist."""

from __future__ import annotations

import re
import tomllib
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.support import tool

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FIGURE = ROOT / "docs" / "architecture.svg"
CHANGES = [
    *("engine", "scorer", "statistic", "section of the page", "source of batteries", "rule of the gate"),
    *("fault", "executor", "verification algorithm", "command"),
]


def floors() -> list[list[str]]:
    """Rooms by floor, from the contract of the road; the command's own file is no room."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (road,) = [contract for contract in contracts if contract["id"] == "road"]
    return [re.findall(r"\w+", floor) for floor in road["layers"] if floor != "__main__"]


def rooms() -> set[str]:
    found = {path.stem for path in (ROOT / "tais").glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in (ROOT / "tais").glob("*/__init__.py")}
    return found | packages


def paths(text: str) -> list[str]:
    inside = re.findall(r"`([^`\s]+)`", text)
    linked = [f"docs/{target}" for target in re.findall(r"\]\(([\w.-]+)\)", text)]
    known = r"(tais|tests|tools|docs|batteries|manifests|models)/[\w./-]*|[\w.-]+\.(md|toml)"
    return [path for path in (*inside, *linked) if re.fullmatch(known, path)]


def test_every_room_has_its_line_in_the_order_of_the_road() -> None:
    table = re.findall(r"^\| `tais/(\w+)(?:/|\.py)` \| (.+) \|$", PAGE, re.MULTILINE)
    named = [name for name, _ in table]
    assert sorted(named) == sorted(rooms())
    floor = {name: index for index, line in enumerate(floors()) for name in line}
    assert named == sorted(named, key=lambda name: floor[name])
    assert all(said.endswith((".", ").")) for _, said in table)


def test_the_floors_are_those_of_the_import_rules() -> None:
    (block,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert [re.findall(r"\w+", line) for line in block.splitlines()] == floors()


@pytest.mark.parametrize("path", sorted(set(paths(PAGE))))
def test_a_path_that_the_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()
    assert (ROOT / path).is_dir() == path.endswith("/")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_says_which_files_to_touch(change: str) -> None:
    (text,) = re.findall(rf"^\*\*A new {change}\.\*\* (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = paths(text)
    assert any(path.startswith("tais/") and path.endswith(".py") for path in named)
    assert any(path.startswith("tests/") for path in named)


def test_the_figure_is_as_the_script_draws_it_and_shows_every_room() -> None:
    drawn = FIGURE.read_text(encoding="utf-8")
    assert drawn == tool("road_figure").draw()
    words = {
        word for element in ElementTree.fromstring(drawn).iter() for word in (element.text or "").split()
    }
    assert rooms() <= words
    assert "architecture.svg" in PAGE
