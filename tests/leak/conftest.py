"""Models of a few thousand weights: more threads than one only wait for each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    from tais.leak.packages import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
