"""What pyproject.toml asks for is what the package uses, and tested versions are written down."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def canonical(requirement: str) -> str:
    """Return the name of a requirement as package indexes compare it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.fixture(scope="module")
def used() -> set[str]:
    """Return the distributions of all that a file under tais/ imports."""
    modules = {name for path in (ROOT / "tais").rglob("*.py") for name in imported(path)}
    found = packages_distributions()
    return {canonical(name) for module in modules for name in found.get(module, ())}


@pytest.mark.parametrize("requirement", DEPENDENCIES)
def test_every_dependency_is_imported(requirement: str, used: set[str]) -> None:
    assert canonical(requirement) in used


def test_the_tested_version_of_every_dependency_is_written_down() -> None:
    lines = (ROOT / "constraints" / "cpu.txt").read_text().splitlines()
    pinned = {canonical(line) for line in lines if "==" in line}
    assert {canonical(one) for one in DEPENDENCIES} <= pinned
