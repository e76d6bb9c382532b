"""Recorded states: a safetensors file, which holds numbers and nothing that could run.

Tensors by name, for prompts 0, 1, 2 ...:

    prompt.0.layer.5   states at layer 5 as the host received them, shape (n, width), any float dtype
    prompt.0.tokens    the true tokens, shape (n,), int64; optional, for the recovery rate
    prompt.0.known     how many tokens at the start and at the end are common to all prompts; optional
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tais.common.files import write_atomic
from tais.errors import Place, UsageError
from tais.lab.leak.model import LeakModel
from tais.lab.leak.prompts import Prompt
from tais.lab.packages import torch

__all__ = ["Recorded", "check_states", "read_capture", "write_capture"]

_NAME = re.compile(r"prompt\.(\d{1,9})\.(?:layer\.(\d{1,4})|(tokens)|(known))")
_REMEDY = "Names are prompt.N.layer.L, prompt.N.tokens and prompt.N.known: see docs/leak.md"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The states of one prompt."""

    states: Mapping[int, torch.Tensor]
    """By layer, each of shape (n, width)."""
    prompt: Prompt | None
    """None where nobody wrote down what it was."""


def check_states(states: torch.Tensor, layer: int, model: LeakModel, place: Place) -> None:
    """Raise UsageError unless states could be this model's at this layer."""
    model.check_layer(layer)
    what = None
    if states.ndim != 2 or states.shape[0] == 0:
        what = f"states of shape {tuple(states.shape)}, not (tokens, width)"
    elif not states.is_floating_point():
        what = f"states of type {states.dtype}, not floating point"
    elif states.shape[1] != model.width:
        what = f"states of width {states.shape[1]}, but {model.name} has width {model.width}"
    if what is not None:
        raise UsageError(what, place=place, remedy="Record this model's states, or name their model")
    if not bool(torch.isfinite(states).all()):
        remedy = "Record in a wider dtype; float16 overflows in some models"
        raise UsageError("states that are not finite (NaN or infinity)", place=place, remedy=remedy)
    model.check_length(int(states.shape[0]), f"{place}")


def read_capture(path: Path, model: LeakModel) -> list[Recorded]:
    """Read recorded states and check that they fit a model.

    Raises
    ------
    UsageError
        When the file is missing, broken or empty, has other names in it, or states that do not fit.
    """
    # Loads torch.
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    place = Place(str(path))
    if not path.is_file():
        raise UsageError("no such file", place=place, remedy="Name a safetensors file with --capture")
    try:
        tensors = load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(f"no safetensors file ({error})", place=place, remedy=_REMEDY) from error
    found: dict[int, dict[int | str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise UsageError(f"tensor {name!r} is not known", place=place, remedy=_REMEDY)
        number, layer, tokens, known = parts.groups()
        found.setdefault(int(number), {})[int(layer) if layer else tokens or known] = tensor
    recorded = [_recorded(found[number], number, path, model) for number in sorted(found)]
    if not recorded:
        raise UsageError("no states in it", place=place, remedy=_REMEDY)
    return recorded


def _recorded(tensors: dict[int | str, torch.Tensor], number: int, path: Path, model: LeakModel) -> Recorded:
    states = {key: tensor for key, tensor in tensors.items() if isinstance(key, int)}
    for layer, tensor in states.items():
        check_states(tensor, layer, model, Place(str(path), None, f"prompt.{number}.layer.{layer}"))
    place = Place(str(path), None, f"prompt.{number}")
    lengths = {int(t.shape[0]) for t in states.values()}
    if len(lengths) != 1:
        what = "states of several lengths" if lengths else "tokens without states"
        raise UsageError(what, place=place, remedy=_REMEDY)
    if "tokens" not in tensors:
        return Recorded(states, None)
    tokens, known = tensors["tokens"], tensors.get("known", torch.tensor([0, 0]))
    ids = [int(t) for t in tokens.flatten().tolist()]
    ends = [int(k) for k in known.flatten().tolist()]
    if lengths != {len(ids)} or not all(0 <= t < model.vocabulary for t in ids):
        what = f"{len(ids)} tokens for {lengths.pop()} states, or ids beyond {model.vocabulary}"
        raise UsageError(what, place=place, remedy="Record one token id per row of the states")
    if len(ends) != 2 or min(ends) < 0 or sum(ends) >= len(ids):
        raise UsageError(f"known counts {ends} leave nothing to recover", place=place, remedy=_REMEDY)
    return Recorded(states, Prompt(tuple(ids), ends[0], ends[1]))


def write_capture(path: Path, recorded: Sequence[Recorded], model: LeakModel) -> None:
    """Write states as :func:`read_capture` reads them.

    Raises
    ------
    StoreError
        When it cannot be written.
    """
    # Loads torch.
    from safetensors.torch import save

    tensors: dict[str, object] = {}
    for number, one in enumerate(recorded):
        for layer, states in one.states.items():
            tensors[f"prompt.{number}.layer.{layer}"] = states.detach().cpu().contiguous()
        if one.prompt is not None:
            tensors[f"prompt.{number}.tokens"] = torch.tensor(one.prompt.tokens, dtype=torch.long)
            ends = [one.prompt.prefix, one.prompt.suffix]
            tensors[f"prompt.{number}.known"] = torch.tensor(ends, dtype=torch.long)
    metadata = {"format": "tais/leak-capture/v1", "model": model.name, "dtype": model.dtype_name}
    write_atomic(path, save(tensors, metadata))
