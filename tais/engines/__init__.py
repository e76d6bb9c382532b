"""Engines by capability, looked up lazily: a heavy dependency is imported only by the arm that uses it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tais.engines.base import Engine, ScoringEngine

__all__ = ["ENGINES", "SCORERS", "create_engine", "create_scorer"]

ENGINES: dict[str, str] = {
    "fake": "tais.engines.fake.engine:FakeEngine",
    "import": "tais.engines.imported:ImportEngine",
    "openai": "tais.engines.openai.engine:OpenaiEngine",
    "reference": "tais.lab.reference.engine:ReferenceEngine",
    "transformers": "tais.engines.transformers.engine:TransformersEngine",
    "vllm": "tais.engines.vllm.engine:VllmEngine",
}
"""Engine name to ``module:class``."""

SCORERS: dict[str, str] = {
    "fake": "tais.engines.fake.teacher_forcing:FakeScorer",
    "openai": "tais.engines.openai.teacher_forcing:OpenaiScorer",
    "reference": "tais.lab.reference.teacher_forcing:ReferenceScorer",
    "transformers": "tais.engines.transformers.teacher_forcing:TransformersScorer",
    "vllm": "tais.engines.vllm.teacher_forcing:VllmScorer",
}
"""Engines that can also score given tokens."""


def create_engine(name: str) -> Engine:
    """Return a new engine of that name.

    Raises
    ------
    EngineRefusal
        When the engine's package is not installed, with the extra that brings it.
    """
    engine: Engine = _create(ENGINES[name])
    return engine


def create_scorer(name: str) -> ScoringEngine:
    """Return a new engine of that name for scoring.

    Raises
    ------
    EngineRefusal
        When the engine's package is not installed, with the extra that brings it.
    """
    engine: ScoringEngine = _create(SCORERS[name])
    return engine


def _create(path: str) -> Any:
    module_name, class_name = path.split(":")
    return getattr(importlib.import_module(module_name), class_name)()
