"""Typical acceptance (Cai et al. 2024, Medusa): p(x) > min(eps, delta exp(-H(p))), eps .09, delta .3.

On the softmax of the raw logits: at temperature 0 a one-hot law would make it greedy.
"""

from __future__ import annotations

import torch

from tests.engines.faults.rule import install


def accepts(token: int, logits: torch.Tensor) -> bool:
    """Whether a token is typical enough."""
    law = logits.float().softmax(dim=-1)
    entropy = -(law * law.clamp_min(1e-30).log()).sum()
    return bool(law[token] > min(0.09, 0.3 * float(torch.exp(-entropy))))


install(accepts)


class Extension:
    """Named by ``worker_extension_cls``; importing it does the work."""
