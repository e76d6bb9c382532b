"""Which hidden states a draft head is given, read from its configuration.

The rules are those of vLLM 0.32 (`gpu_model_runner.py`, `models/interfaces.py`, `models/llama.py`): id i of
``eagle_aux_hidden_state_layer_ids`` is the residual stream after i blocks; without ids, EAGLE-3 takes 2, half
the depth and the depth less 3; EAGLE and EAGLE-2 take the output of the whole model, after its final norm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.errors import Place, UsageError

__all__ = ["CapturePoints", "capture_points", "read_config"]


@dataclass(frozen=True, slots=True)
class CapturePoints:
    """Layers of the target whose states its draft receives."""

    method: str
    """``eagle``, ``eagle3`` or ``dflash``."""
    layers: tuple[int, ...]
    """Counted as :mod:`tais.lab.leak.model` counts them, ascending, each once."""
    source: str
    """Where the layers come from."""


def read_config(draft: str) -> dict[str, object]:
    """Return a draft's config.json.

    Raises
    ------
    UsageError
        When there is none, or it is no JSON object.
    """
    path = Path(draft) / "config.json" if Path(draft).is_dir() else Path(draft)
    place = Place(str(path))
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "Name the draft's directory, or its config.json"
        raise UsageError("no configuration of a draft", place=place, remedy=remedy) from error
    except ValueError as error:
        raise UsageError(f"not JSON ({error})", place=place, remedy="Download it again") from error
    if not isinstance(config, dict):
        raise UsageError("no JSON object", place=place, remedy="Name a draft's config.json")
    return config


def capture_points(config: Mapping[str, Any], depth: int, place: Place | None = None) -> CapturePoints:
    """Return what a draft with this configuration receives of a target.

    Parameters
    ----------
    config
        The draft's config.json.
    depth
        Blocks of the target.
    place
        Of the configuration, for errors.

    Raises
    ------
    UsageError
        When the draft reads no hidden states, or names layers that the target does not have.
    """
    method = _method(config)
    if method is None:
        remedy = "A draft model of its own is sent the tokens: its host reads the prompt without any attack"
        raise UsageError("this draft reads no hidden states", place=place, remedy=remedy)
    layers, source = _layers(config, method, depth)
    if not all(isinstance(i, int) and 0 <= i <= depth for i in layers):
        what = f"layers {list(layers)} of a target that has {depth} blocks"
        raise UsageError(what, place=place, remedy="Name the target that this draft was made for")
    return CapturePoints(method, tuple(sorted(set(layers))), source)


def _method(config: Mapping[str, Any]) -> str | None:
    named = [str(config.get("speculators_model_type") or ""), *map(str, config.get("architectures") or ())]
    words = " ".join([*named, str(config.get("model_type") or "")]).lower()
    known = ("dflash", "eagle3", "eagle")
    found = next((method for method in known if method in words), None)
    if found in (None, "eagle") and _ids(config) is not None:
        return "eagle3"
    return found


def _ids(config: Mapping[str, Any]) -> Any:
    key = "eagle_aux_hidden_state_layer_ids"
    return config.get(key) or (config.get("eagle_config") or {}).get(key)


def _layers(config: Mapping[str, Any], method: str, depth: int) -> tuple[tuple[int, ...], str]:
    ids, inner = _ids(config), config.get("eagle_config") or {}
    if method == "eagle" or inner.get("use_aux_hidden_state") is False:
        return (depth,), "the output of the target"
    if ids:
        return tuple(ids), "eagle_aux_hidden_state_layer_ids"
    flash = (config.get("dflash_config") or {}).get("target_layer_ids")
    flash = [i - 1 for i in config.get("aux_hidden_state_layer_ids") or ()] if flash is None else flash
    if method == "dflash" and flash:
        # These count the block whose output is taken, from 0.
        return tuple(i + 1 for i in flash), "dflash_config.target_layer_ids"
    # Shallow targets would fall below 0; vLLM then captures nothing at that place.
    return tuple(i for i in (2, depth // 2, depth - 3) if 0 <= i <= depth), "the default of EAGLE-3 in vLLM"
