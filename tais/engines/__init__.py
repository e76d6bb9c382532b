"""Engines: one row each, and a way to make them. What a row names is imported by the arm that uses it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from tais.common.install import pip_install

if TYPE_CHECKING:
    from tais.engines.base import Engine, Teacher

__all__ = ["ENGINES", "EngineSpec", "create_engine", "create_teacher", "load"]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What TAIS knows of one engine. Things that are imported are named as ``module:object``."""

    engine: str
    """Class that generates, see :class:`tais.engines.base.Engine`."""
    teacher: str | None = None
    """Class that reads given tokens, see :class:`tais.engines.base.Teacher`; None where it cannot."""
    preload: str | None = None
    """Function that imports what arms will need, given the models, before a worker forks."""
    configure: str | None = None
    """Function that lets the engine refuse an arm's settings without loading its model."""
    package: str | None = None
    """What must be installed."""
    install: str = ""
    """How."""
    environment: frozenset[str] = frozenset()
    """Defaults of the worker's environment that are meant for it."""
    threaded: bool = False
    """Whether it computes on all threads that it is given."""
    default_gpus: int = 1
    """GPUs of an arm that declares none, for each device that its parallel sizes ask for."""
    faults: Literal["planted", "imitated"] | None = None
    """How a drill's fault gets into it; None where it cannot."""
    hidden: bool = False
    """Whether it stands in no list for users."""


_THREADS = "OMP_NUM_THREADS"
_TRANSFORMERS = pip_install("transformers")

ENGINES: dict[str, EngineSpec] = {
    "fake": EngineSpec(
        engine="tais.engines.fake.engine:FakeEngine",
        teacher="tais.engines.fake.teacher_forcing:FakeTeacher",
        faults="imitated",
        hidden=True,
    ),
    "import": EngineSpec(engine="tais.engines.imported:ImportEngine", default_gpus=0),
    "openai": EngineSpec(
        engine="tais.engines.openai.engine:OpenaiEngine",
        teacher="tais.engines.openai.teacher_forcing:OpenaiTeacher",
        package="httpx",
        install=pip_install("openai"),
        environment=frozenset({_THREADS}),
    ),
    "reference": EngineSpec(
        engine="tais.lab.reference.engine:ReferenceEngine",
        teacher="tais.lab.reference.teacher_forcing:ReferenceTeacher",
        preload="tais.lab.reference.engine:preload",
        configure="tais.lab.reference.configuration:check_configuration",
        package="transformers",
        install=_TRANSFORMERS,
        environment=frozenset({_THREADS}),
        threaded=True,
    ),
    "transformers": EngineSpec(
        engine="tais.engines.transformers.engine:TransformersEngine",
        teacher="tais.engines.transformers.teacher_forcing:TransformersTeacher",
        preload="tais.engines.transformers.engine:preload",
        configure="tais.engines.transformers.engine:check_configuration",
        package="transformers",
        install=_TRANSFORMERS,
        environment=frozenset({_THREADS}),
        threaded=True,
    ),
    "vllm": EngineSpec(
        engine="tais.engines.vllm.engine:VllmEngine",
        teacher="tais.engines.vllm.teacher_forcing:VllmTeacher",
        preload="tais.engines.vllm.engine:preload",
        configure="tais.engines.vllm.configuration:check_configuration",
        package="vllm",
        install=pip_install("cpu", on_gpu="gpu"),
        environment=frozenset({_THREADS, "LD_PRELOAD"}),
        threaded=True,
        faults="planted",
    ),
}
"""Row by name."""


def create_engine(name: str) -> Engine:
    """Return a new engine of that name.

    Raises
    ------
    EngineRefusal
        When the engine's package is not installed, with the extra that brings it.
    """
    return cast("Engine", load(ENGINES[name].engine)())


def create_teacher(name: str) -> Teacher:
    """Return a new engine of that name for teacher forcing.

    Raises
    ------
    EngineRefusal
        When the engine's package is not installed, with the extra that brings it.
    """
    path = ENGINES[name].teacher
    assert path is not None, "the plan asks no engine that cannot"
    return cast("Teacher", load(path)())


def load(path: str) -> Callable[..., object]:
    """Return what a row names."""
    module, _, name = path.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), name)
    return found
