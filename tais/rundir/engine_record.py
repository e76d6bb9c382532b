"""engine.json of two arms, compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tais.common.differences import Difference, leaf_differences

__all__ = ["compare_resolved"]

# Names of one process, not settings: they differ between any two runs.
_VOLATILE = re.compile(
    r"instance_id|.*\b(port|_port|rpc_port|master_port|port_list|store_port)$|.*compilation_time|"
    r"parallel_config\.(_.*|.*port.*)|.*debug_dump_path|variables\.(TAIS_.*|(CUDA|HIP|ROCR)_VISIBLE_DEVICES)|"
    r"compilation_config\.(static_forward_context|traced_files|local_cache_dir|static_all_moe_layers|"
    r"enabled_custom_ops|disabled_custom_ops)(\..*)?"
)

# What a setting brings with it. Measured on vLLM 0.32: arms that differ in the key on the left (a dotted
# manifest key) also resolve to other values of the keys on the right.
_MEMORY = r"cache_config\.(num_gpu_blocks|num_cpu_blocks|kv_cache_(size_tokens|max_concurrency|memory_bytes))"

_CONSEQUENCES: tuple[tuple[str, str], ...] = (
    (
        # The draft's weights and cache take memory, and drafts take scheduler slots.
        r"speculative_config(\..*)?",
        rf"{_MEMORY}|speculative_config(\..*)?|observability_config\.per_request_spec_decode_metrics|"
        r"scheduler_config\.(max_num_scheduled_tokens|max_num_batched_tokens)|runtime\.(drafter|batch_size|rejection_sample.*)|"
        r"compilation_config\.(cudagraph_.*|max_cudagraph_capture_size|compile_sizes)",
    ),
    # Two engines say what they are in words of their own.
    (r"engine", r".*"),
    (r"model|revision|tokenizer", rf"model_config(\..*)?|{_MEMORY}|quant_config(\..*)?|load_config(\..*)?"),
    (r"dtype", rf"model_config\.dtype|cache_config\..*dtype|mamba_config\..*dtype|{_MEMORY}"),
    (r"engine_args\.max_num_seqs", rf"scheduler_config\.max_num_seqs|compilation_config\..*|{_MEMORY}"),
    (
        r"engine_args\.max_num_batched_tokens",
        rf"scheduler_config\.max_.*|compilation_config\..*|{_MEMORY}",
    ),
    (r"engine_args\.max_model_len", rf"model_config\.max_model_len|scheduler_config\..*|{_MEMORY}"),
    (r"engine_args\.antidistillation(\..*)?", r"antidistillation(\..*)?"),
    (r"engine_args\.enforce_eager", r"model_config\.enforce_eager|compilation_config\..*|kernel_config\..*"),
)


def _expected(key: str, declared: tuple[str, ...]) -> bool:
    leaf = key.rsplit(".", 1)[-1]
    for name in declared:
        if name.startswith("engine_args.") and leaf == name.rsplit(".", 1)[-1]:
            return True
        for cause, consequence in _CONSEQUENCES:
            if re.fullmatch(cause, name) and re.fullmatch(consequence, key):
                return True
    return False


def compare_resolved(
    reference: Mapping[str, Any], candidate: Mapping[str, Any], declared: tuple[str, ...]
) -> list[Difference]:
    """Return the differences between two resolved configurations that the manifest does not account for.

    Parameters
    ----------
    reference, candidate
        Resolved configurations as nested mappings.
    declared
        Dotted manifest keys in which the two arms differ, e.g. ``speculative_config.method``.

    Returns
    -------
    list of Difference
        Sorted by key; empty when the declared difference and its known consequences explain all.
    """
    found = leaf_differences(reference, candidate)
    return [d for d in found if not _VOLATILE.fullmatch(d.key) and not _expected(d.key, declared)]
