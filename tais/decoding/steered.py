"""Antidistillation as a target of the reference engine: three models that decode as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tais.decoding.antidistillation import Proxies, increase
from tais.errors import UsageError
from tais.verification.cached import CachedModel

__all__ = ["OPTIONS", "SteeredModel", "read_examples", "read_options"]

OPTIONS = {"proxy": str, "examples": str, "strength": float, "epsilon": float}


def read_options(given: object) -> dict[str, Any]:
    """Return checked options.

    Raises
    ------
    UsageError
        Naming the key that is missing, unknown or of the wrong type.
    """
    if not isinstance(given, dict) or set(given) != set(OPTIONS):
        raise UsageError(f"antidistillation takes exactly {', '.join(OPTIONS)}")
    for key, kind in OPTIONS.items():
        number = isinstance(given[key], int | float) and not isinstance(given[key], bool)
        if not (number if kind is float else isinstance(given[key], str)):
            raise UsageError(f"antidistillation.{key} must be of type {kind.__name__}, not {given[key]!r}")
    if not given["epsilon"] > 0:
        raise UsageError("antidistillation.epsilon must be above 0")
    return dict(given)


def read_examples(
    path: Path, render: Callable[[str], list[int]], encode: Callable[[str], list[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Yield prompts and completions, as token ids, of a JSONL file with these two keys.

    Raises
    ------
    UsageError
        With the line that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the examples {path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            yield render(str(row["prompt"])), encode(str(row["completion"]))
        except (ValueError, KeyError, TypeError) as error:
            remedy = 'One object per line: {"prompt": ..., "completion": ...}'
            raise UsageError(f"{path}:{number}: no example", remedy=remedy) from error


class SteeredModel:
    """A teacher whose logits carry the steering; holds trees as a plain model does.

    Parameters
    ----------
    teacher
        With its cache.
    proxies
        The two copies and their strength.
    temperature
        Of sampling, above 0: the growth is added after the temperature, so its share of the logits grows
        with it.
    """

    def __init__(self, teacher: CachedModel, proxies: Proxies, temperature: float) -> None:
        self.teacher = teacher
        self.proxies = proxies
        self.scale = temperature * proxies.strength
        self._copies = CachedModel(proxies.plus), CachedModel(proxies.minus)

    @property
    def committed(self) -> int:
        """Rows of the text in the cache."""
        return self.teacher.committed

    def begin(self, tokens: Sequence[int]) -> torch.Tensor:
        """See :meth:`tais.verification.cached.CachedModel.begin`."""
        return self._steer(self.teacher.begin(tokens), *(copy.begin(tokens) for copy in self._copies))

    def feed(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """See :meth:`tais.verification.cached.CachedModel.feed`."""
        copies = (copy.feed(tokens, parents) for copy in self._copies)
        return self._steer(self.teacher.feed(tokens, parents), *copies)

    def commit(self, rows: Sequence[int]) -> None:
        """See :meth:`tais.verification.cached.CachedModel.commit`."""
        for model in (self.teacher, *self._copies):
            model.commit(rows)

    def _steer(self, teacher: torch.Tensor, plus: torch.Tensor, minus: torch.Tensor) -> torch.Tensor:
        grown = increase(plus.double(), minus.double(), self.proxies.epsilon)
        return torch.log_softmax(teacher.double(), -1) + self.scale * grown
