"""vLLM 0.32: the token behind accepted drafts may end an answer that has its ``min_tokens`` by then.

``MinTokensLogitsProcessor.apply`` counts the tokens before the step, and not the drafts accepted in it.
Not for structured output, where the engine lets an end token through that nothing else is left for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vllm.v1.sample.logits_processor.builtin import MinTokensLogitsProcessor
from vllm.v1.sample.rejection_sampler import RejectionSampler

__all__ = ["Extension"]

_apply: Callable[..., Any] = MinTokensLogitsProcessor.apply
_forward: Callable[..., Any] = RejectionSampler.forward
# Drafts before the rows that `apply` is given, by request; empty outside of a verification.
_before: list[int] = []


def _apply_behind_drafts(self: MinTokensLogitsProcessor, logits: Any) -> Any:
    if not _before:
        return _apply(self, logits)
    for row, (least, said, ends, _) in self.min_toks.items():
        if len(said) + _before[row] < least:
            logits[row, list(ends)] = float("-inf")
    return logits


def _forward_counting(self: RejectionSampler, metadata: Any, *args: Any, **kwargs: Any) -> Any:
    counts: Sequence[int] = metadata.num_draft_tokens
    _before[:] = counts
    try:
        return _forward(self, metadata, *args, **kwargs)
    finally:
        _before.clear()


MinTokensLogitsProcessor.apply = _apply_behind_drafts
RejectionSampler.forward = _forward_counting


class Extension:
    """An arm names it (``worker_extension_cls``), which imports this module; that does the work."""
