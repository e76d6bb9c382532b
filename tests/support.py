"""What tests of several folders need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from tests.conftest import ROOT

__all__ = ["one_thread", "tool"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: on models of a few thousand weights more only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tool(name: str) -> ModuleType:
    """Import a script of tools/."""
    folders = [str(path) for path in sorted((ROOT / "tools").iterdir()) if path.is_dir()]
    sys.path[:0] = folders
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[: len(folders)]
