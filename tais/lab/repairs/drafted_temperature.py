"""vLLM 0.21 to 0.32 on a CPU: drafted tokens are sampled at the temperature that was asked for.

``_expand_kernel_impl`` (vllm/utils/cpu_triton_utils.py) copies its output to int64 and never copies it
back, so that the temperature of each drafted token, and its top-k and top-p, are whatever lay in memory.
Greedy batches do not read them.
"""

from __future__ import annotations

import torch
from vllm.v1.sample import rejection_sampler

__all__ = ["Extension", "expand_batch_to_tokens"]


def expand_batch_to_tokens(
    x: torch.Tensor,
    cu_num_tokens: torch.Tensor,
    num_tokens: int,
    replace_from: float = 0,
    replace_to: float = 0,
) -> torch.Tensor:
    """Repeat each row's value for each of its tokens."""
    counts = torch.diff(cu_num_tokens.to(torch.int64), prepend=torch.zeros(1, dtype=torch.int64))
    expanded = torch.repeat_interleave(torch.where(x == replace_from, replace_to, x), counts)
    assert len(expanded) == num_tokens
    return expanded.to(x.dtype)


rejection_sampler.expand_batch_to_tokens = expand_batch_to_tokens


class Extension:
    """An arm names it (``worker_extension_cls``), which imports this module; that does the work."""
