"""Models of a few thousand weights: more threads than one only wait for each other."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import pytest

# Without torch and transformers there is nothing here to test.
_MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if _MISSING else []


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    # A file that needs torch has imported it; the others are quicker without.
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
