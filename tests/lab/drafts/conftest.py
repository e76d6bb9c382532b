"""Models of a few thousand weights: more threads than one only wait for each other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.lab.threads import one_thread

# Without torch and transformers there is nothing here to test.
_MISSING = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if _MISSING else []


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield
