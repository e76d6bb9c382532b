"""No fault but the repair of one: vLLM 0.32 on the CPU samples speculated tokens at no temperature at all.

``_expand_kernel_impl`` (vllm/utils/cpu_triton_utils.py) copies its output to int64 and never copies it
back, so that the temperature per token is whatever lay in memory. Greedy decoding does not read it.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample import rejection_sampler


def expand_batch_to_tokens(
    x: torch.Tensor, cu_num_tokens: torch.Tensor, num_tokens: int, replace_from: Any = 0, replace_to: Any = 0
) -> torch.Tensor:
    """Repeat each row's value for each of its tokens."""
    counts = torch.diff(cu_num_tokens.to(torch.int64), prepend=torch.zeros(1, dtype=torch.int64))
    expanded = torch.repeat_interleave(torch.where(x == replace_from, replace_to, x), counts)
    assert len(expanded) == num_tokens
    return expanded.to(x.dtype)


rejection_sampler.expand_batch_to_tokens = expand_batch_to_tokens


class Extension:
    """Named by ``worker_extension_cls``; importing it does the work."""
