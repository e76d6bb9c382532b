"""What tests of several folders need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from hypothesis import settings

from tais.scorers import Scorer, find_scorer
from tests.conftest import ROOT

__all__ = ["examples", "get_scorer", "tool"]


def examples(number: int) -> int:
    """Return how many examples to draw: this number, or a share of it in the quick profile of `make unit`."""
    return max(20, number * settings.default.max_examples // 100)  # type: ignore[union-attr]


def tool(name: str) -> ModuleType:
    """Import a script of tools/."""
    folders = [str(path) for path in sorted((ROOT / "tools").iterdir()) if path.is_dir()]
    sys.path[:0] = folders
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[: len(folders)]


def get_scorer(spec: str | Mapping[str, Any]) -> Scorer:
    """Make a scorer that needs no model."""
    scorer = find_scorer(spec)
    assert isinstance(scorer, Scorer), "a judge scores nothing by itself"
    return scorer
