"""Engines by capability, looked up lazily: a heavy dependency is imported only by the arm that uses it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tais.engines.base import Engine

__all__ = ["ENGINES", "create_engine"]

ENGINES: dict[str, str] = {
    "fake": "tais.engines.fake:FakeEngine",
    "import": "tais.engines.imported:ImportEngine",
    "reference": "tais.engines.reference:ReferenceEngine",
    "vllm": "tais.engines.vllm:VllmEngine",
}
"""Engine name to ``module:class``."""


def create_engine(name: str) -> Engine:
    """Return a new engine of that name.

    Raises
    ------
    EngineRefusal
        When the engine's package is not installed, with the extra that brings it.
    """
    module_name, class_name = ENGINES[name].split(":")
    module = importlib.import_module(module_name)
    engine: Engine = getattr(module, class_name)()
    return engine
