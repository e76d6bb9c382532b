"""Logits to the law that is sampled from: temperature, then top-k, then top-p, as vLLM orders them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Warp"]


@dataclass(frozen=True, slots=True)
class Warp:
    """How tokens are drawn.

    Attributes
    ----------
    temperature
        0 puts all mass on the best token, the smallest id on ties.
    top_k
        Tokens kept, ties with the last one included; 0 keeps all.
    top_p
        Mass kept: the fewest likeliest tokens that reach it.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def law(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the laws of logits of shape (N, V): the same shape, float64, on the CPU."""
        values = logits.detach().to("cpu", torch.float64)
        if self.temperature == 0:
            law = torch.zeros_like(values)
            return law.scatter_(-1, values.argmax(-1, keepdim=True), 1.0)
        values = values / self.temperature
        if 0 < self.top_k < values.shape[-1]:
            least = values.topk(self.top_k, dim=-1).values[..., -1:]
            values = values.masked_fill(values < least, -torch.inf)
        law = torch.softmax(values, -1)
        return law if self.top_p >= 1 else _nucleus(law, self.top_p)


def _nucleus(law: torch.Tensor, top_p: float) -> torch.Tensor:
    ordered, places = torch.sort(law, dim=-1, descending=True, stable=True)
    # A token stays while the mass of those before it has not reached the limit.
    ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
    kept = torch.zeros_like(law).scatter_(-1, places, ordered)
    return kept / kept.sum(-1, keepdim=True)
