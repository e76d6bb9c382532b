"""Memory for engines whose arms say nothing of it, from what is free on this machine.

vLLM takes 92 % of all memory by default (0.32) and does not start where others use more than the rest: on a
CPU an open browser is enough. It needs a KV cache for as many answers of the longest context as run at once,
and no more. All arms get the same, the lock holds it, and a run that goes on keeps it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from tais.common.machine import available_memory, describe_gpus, free_gpu_share
from tais.engines.hub_cache import model_config, weight_bytes
from tais.errors import EngineError, Place
from tais.manifest.engine_options import MEMORY_ARGUMENTS, vllm_arguments
from tais.manifest.model import Arm, Manifest
from tais.rundir.lock_model import Lock, LockedMemory

__all__ = ["bytes_per_token", "choose_memory", "silent_arms", "with_memory"]

ArmT = TypeVar("ArmT", bound=Arm)

# Of what is free beside the weights; the rest is for activations, for the engine itself and for others.
_SHARE = 0.5
# Where the size of the weights is not known.
_SHARE_UNKNOWN = 0.25
# vLLM 0.32 asks for 0.92 by default, and older releases for 0.90. Where so much is free, it gets it.
_GPU_DEFAULT = 0.92
# What a process takes of a card that vLLM does not count: its context.
_GPU_SPARE = 0.03
# Of vLLM 0.32 on a CPU: tokens of a block, and answers at once by default.
_BLOCK = 128
_AT_ONCE, _AT_ONCE_SERVED = 256, 128
_ROUND = 1 << 20
# Read by vLLM's own CPU platform.
_VARIABLE = "VLLM_CPU_KVCACHE_SPACE"
_WIDTHS = {"float32": 4, "float": 4, "float64": 8}
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_HIDDEN = ("hidden_size", "n_embd", "d_model")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len")


def silent_arms(manifest: Manifest) -> tuple[str, ...]:
    """Return the arms and judges that run a vLLM here and say nothing of its memory, sorted."""
    arms: dict[str, Arm] = {**manifest.judges, **manifest.arms}
    return tuple(sorted(name for name, arm in arms.items() if _is_silent(arm)))


def _is_silent(arm: Arm) -> bool:
    given = vllm_arguments(arm)
    return given is not None and not any(key in given for key in MEMORY_ARGUMENTS)


def with_memory(manifest: Manifest, lock: Lock, memory: LockedMemory | None) -> tuple[Manifest, Lock]:
    """Give memory to the arms that say none; the lock's arms stay as they were written.

    Parameters
    ----------
    manifest, lock
        Of a plan.
    memory
        Of the run that it becomes, or is compared with; None gives none.
    """
    silent = silent_arms(manifest)
    if memory is None or not silent:
        return manifest, lock

    def given(arms: Mapping[str, ArmT]) -> dict[str, ArmT]:
        return {name: _given(arm, memory) if name in silent else arm for name, arm in arms.items()}

    update = {"arms": given(manifest.arms), "judges": given(manifest.judges)}
    fixed = {"memory": memory.model_copy(update={"arms": silent})}
    return manifest.model_copy(update=update), lock.model_copy(update=fixed)


def _given(arm: ArmT, memory: LockedMemory) -> ArmT:
    said = {
        "kv_cache_memory_bytes": memory.kv_cache_bytes,
        "gpu_memory_utilization": memory.gpu_memory_utilization,
    }
    own: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
    if arm.engine == "openai":
        own = {"serve": {**arm.engine_args["serve"], **own}}
    return arm.model_copy(update={"engine_args": {**arm.engine_args, **own}})


def choose_memory(manifest: Manifest, lock: Lock) -> tuple[LockedMemory | None, str]:
    """Return the memory for arms that say nothing of it, and what to say of it; None where none is needed.

    Raises
    ------
    EngineError
        Where one answer of the full context would not fit beside a model's weights.
    """
    silent = silent_arms(manifest)
    if not silent or _VARIABLE in os.environ:
        return None, ""
    on_gpu = bool(describe_gpus())
    versions = [lock.versions_of(name) for name in silent]
    if on_gpu and any("vllm-cpu" not in known for known in versions):
        return _of_gpus(silent)
    stacks = [manifest.arms[name] if name in manifest.arms else manifest.judges[name] for name in silent]
    return _of_main_memory(silent, stacks)


def _of_gpus(silent: tuple[str, ...]) -> tuple[LockedMemory | None, str]:
    free = free_gpu_share()
    if free is None or free >= _GPU_DEFAULT + _GPU_SPARE:
        return None, ""
    share = math.floor(100 * (free - _GPU_SPARE)) / 100
    if share <= 0:
        raise EngineError(
            f"only {100 * free:.0f} % of a GPU's memory is free",
            place=Place(key=f"arms.{silent[0]}.engine_args.gpu_memory_utilization"),
            remedy="Free some, choose another GPU with --devices, or say gpu_memory_utilization",
        )
    note = (
        f"memory: others use the GPU, so every vLLM gets gpu_memory_utilization {share:g} "
        f"({100 * free:.0f} % is free; an arm's engine_args may say it)"
    )
    return LockedMemory(arms=silent, gpu_memory_utilization=share), note


def _of_main_memory(silent: tuple[str, ...], arms: list[Arm]) -> tuple[LockedMemory, str]:
    free = available_memory()
    known = [_Need(arm) for arm in arms]
    weights = max(need.weights for need in known)
    world = max(need.world for need in known)
    share = _SHARE if all(need.weights for need in known) else _SHARE_UNKNOWN
    most = max(0, int(share * (free - weights)) // world)
    for name, need in zip(silent, known, strict=True):
        if need.one is not None and need.one > most:
            raise EngineError(
                f"an answer of max_model_len {need.length} needs {_gib(need.one)} of KV cache, and "
                f"{_gib(most)} may be taken of the {_gib(free)} that are free",
                place=Place(key=f"arms.{name}.engine_args.max_model_len"),
                remedy="Lower max_model_len, end other programs, or say kv_cache_memory_bytes",
            )
    wanted = [need.all for need in known]
    sizes = [most if one is None else min(one, most) for one in wanted]
    chosen = max(_ROUND, max(sizes) // _ROUND * _ROUND)
    largest = known[sizes.index(max(sizes))]
    why = (
        f"max_num_seqs {largest.at_once} x max_model_len {largest.length}"
        if largest.all is not None and largest.all <= most
        else f"a share of the {_gib(free)} that are free"
    )
    note = (
        f"memory: every vLLM gets a KV cache of {_gib(chosen)} ({why}; an arm's engine_args may say "
        "kv_cache_memory_bytes)"
    )
    return LockedMemory(arms=silent, kv_cache_bytes=chosen), note


class _Need:
    """What an arm's vLLM needs, as far as its configuration is at hand."""

    def __init__(self, arm: Arm) -> None:
        given = vllm_arguments(arm) or {}
        draft = arm.speculative_config or {}
        models = [(str(arm.model), arm.revision)]
        if isinstance(draft.get("model"), str):
            models.append((draft["model"], draft.get("revision")))
        sizes = [weight_bytes(*model) for model in models]
        self.weights = sum(sizes) if all(sizes) else 0
        """Bytes on disk; 0 where not known."""
        self.world = math.prod(
            _whole(given.get(key)) or 1 for key in ("tensor_parallel_size", "pipeline_parallel_size")
        )
        served = arm.engine == "openai"
        usual = (_AT_ONCE_SERVED if served else _AT_ONCE) * self.world
        self.at_once = _whole(given.get("max_num_seqs")) or usual
        configs = [model_config(*model) for model in models]
        self.length = _whole(given.get("max_model_len")) or _first(configs[0], _CONTEXT)
        per_token = [bytes_per_token(config, arm.dtype, given.get("kv_cache_dtype")) for config in configs]
        self.one: int | None = None
        """Bytes of one answer of the full context."""
        if self.length is not None and per_token[0] is not None:
            # A block more for what is drafted ahead.
            blocks = math.ceil(self.length / _BLOCK) + (1 if draft else 0)
            self.one = blocks * _BLOCK * sum(size or 0 for size in per_token)

    @property
    def all(self) -> int | None:
        """Bytes of as many answers as run at once."""
        return None if self.one is None else self.one * self.at_once


def bytes_per_token(config: Mapping[str, Any], dtype: str | None, cache_dtype: object = None) -> int | None:
    """Return the bytes of KV cache that a token takes in all layers; None where the model does not say.

    Parameters
    ----------
    config
        ``config.json`` of the model.
    dtype
        Of the arm; None or "auto" takes the model's.
    cache_dtype
        ``kv_cache_dtype``, where the arm says one.

    Notes
    -----
    Keys and values of every layer. Layers with a window, or with a state instead of a cache, take less, so
    that this is a bound. Latent attention (DeepSeek) keeps a vector of ``kv_lora_rank`` and the rotary part.
    """
    layers, heads, hidden = (_first(config, names) for names in (_LAYERS, _HEADS, _HIDDEN))
    if layers is None:
        return None
    width = 1 if "8" in str(cache_dtype) else _width(config, dtype, cache_dtype)
    if (rank := _first(config, ("kv_lora_rank",))) is not None:
        return layers * (rank + (_first(config, ("qk_rope_head_dim",)) or 0)) * width
    size = _first(config, ("head_dim",)) or (hidden // heads if hidden and heads else None)
    pairs = _first(config, _KV_HEADS) or heads
    return None if size is None or pairs is None else 2 * layers * pairs * size * width


def _width(config: Mapping[str, Any], dtype: str | None, cache_dtype: object) -> int:
    for said in (cache_dtype, dtype, _text(config, ("dtype", "torch_dtype"))):
        if isinstance(said, str) and said != "auto":
            return _WIDTHS.get(said, 2)
    return 2


def _places(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the places of a configuration: models that also see or hear keep their language part apart."""
    yield config
    for key in ("text_config", "llm_config"):
        if isinstance(nested := config.get(key), Mapping):
            yield nested


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (_whole(place.get(name)) for place in _places(config) for name in names)
    return next((value for value in found if value is not None), None)


def _text(config: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    found = (place.get(name) for place in _places(config) for name in names)
    return next((value for value in found if isinstance(value, str)), None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
