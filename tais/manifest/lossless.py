"""Whether a contrast claims to be lossless where nobody says so: what of two stacks must agree for it.

The one rule for arms of a manifest and for arms of two locks, so that a baseline that was recorded is held
to the same claim as one that runs beside its candidate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

__all__ = ["LOSSY_METHODS", "Stack", "known_lossy", "same_weights", "why_not_lossless"]


class Stack(Protocol):
    """What of an arm decides the claim."""

    @property
    def engine(self) -> str:
        """Name of its engine."""

    @property
    def model(self) -> object:
        """Target: a name, or a folder's digests; None where there is none."""

    @property
    def revision(self) -> str | None:
        """Commit of the target."""

    @property
    def dtype(self) -> str | None:
        """As asked for."""

    @property
    def environment(self) -> str | None:
        """Interpreter and packages; None for those of TAIS."""

    @property
    def engine_args(self) -> Mapping[str, object]:
        """Other settings of the engine."""

    @property
    def speculative_config(self) -> Mapping[str, object] | None:
        """What speculates; None where nothing does."""


# Of engine_args: settings that load other weights, or that round or add in another order. With what an
# engine takes where a key is left out; None where that depends on the machine.
_WEIGHTS: Mapping[str, object] = {"quantization": None, "hf_overrides": None, "antidistillation": None}
_ROUNDING: Mapping[str, object] = {
    "device": None,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "data_parallel_size": 1,
    "prefill_context_parallel_size": 1,
    "decode_context_parallel_size": 1,
    "enable_expert_parallel": False,
    "attention_backend": None,
    "attention_config": None,
    "attn_implementation": None,
    "kv_cache_dtype": "auto",
}
LOSSY_METHODS = frozenset({"typical", "fly", "accept_all"})
"""Methods of the reference engine whose output law is not the target's, at any temperature."""
# vLLM: coin flips (0.26 on) and relaxed acceptance (0.33), at temperature 0 too.
_LOSSY_SAMPLING = frozenset({"synthetic", "fly"})


def same_weights(reference: Stack, candidate: Stack) -> bool:
    """Return whether both serve the same target: engine, model, revision, dtype, loaded alike."""
    return reference.model is not None and not [*_of_target(reference, candidate)]


def known_lossy(arm: Stack) -> str | None:
    """Return the setting of an arm that is meant to let other tokens through; None where there is none."""
    asked = arm.speculative_config or {}
    if asked.get("rejection_sample_method") in _LOSSY_SAMPLING:
        return f"rejection_sample_method: {asked['rejection_sample_method']}"
    method = asked.get("method")
    return f"method: {method}" if arm.engine == "reference" and method in LOSSY_METHODS else None


def why_not_lossless(reference: Stack, candidate: Stack) -> tuple[str, ...]:
    """Return what stands between two stacks and a claim that nobody made.

    Parameters
    ----------
    reference, candidate
        Arms, both of a manifest or both of locks.

    Returns
    -------
    tuple of str
        Each in words; empty where both serve the same target in the same way, and no rule that is meant to
        be lossy speculates.
    """
    if reference.model is None or candidate.model is None:
        return ("outputs that exist already claim nothing",)
    found = [*_of_target(reference, candidate)]
    if reference.environment != candidate.environment:
        found.append("the arms run in unlike environments")
    found += _differing(reference.engine_args, candidate.engine_args, _ROUNDING)
    for arm, side in ((reference, "reference"), (candidate, "candidate")):
        lossy = known_lossy(arm)
        if lossy is not None:
            found.append(f"the {side} speculates by a rule that is meant to be lossy ({lossy})")
    return tuple(found)


def _of_target(reference: Stack, candidate: Stack) -> list[str]:
    names = ("engine", "model", "revision", "dtype")
    found = [f"{name} differs" for name in names if getattr(reference, name) != getattr(candidate, name)]
    return found + _differing(reference.engine_args, candidate.engine_args, _WEIGHTS)


def _differing(
    before: Mapping[str, object], now: Mapping[str, object], keys: Mapping[str, object]
) -> list[str]:
    sides = ({key: _written(args.get(key), usual) for key, usual in keys.items()} for args in (before, now))
    first, second = sides
    return [f"engine_args.{key} differs" for key in keys if first[key] != second[key]]


def _written(value: object, usual: object) -> str:
    return json.dumps(usual if value is None else value, sort_keys=True)
