"""Put a verification rule in the place of vLLM's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vllm.v1.sample import rejection_sampler

Rule = Callable[[int, torch.Tensor], bool]
"""Whether a draft token is let through, given the target's raw logits at its position."""


def install(accepts: Rule) -> None:
    """Verify greedy drafts by a rule; a token that is refused gives way to the target's own."""

    def rejection_sample(
        draft_token_ids: torch.Tensor,
        num_draft_tokens: list[int],
        max_spec_len: int,
        cu_num_draft_tokens: torch.Tensor,
        draft_probs: torch.Tensor | None,
        target_logits: torch.Tensor,
        bonus_token_ids: torch.Tensor,
        *_: Any,
        **__: Any,
    ) -> torch.Tensor:
        output = torch.full((len(num_draft_tokens), max_spec_len + 1), -1, dtype=torch.int32)
        first = 0
        for row, count in enumerate(num_draft_tokens):
            for position in range(count):
                logits = target_logits[first + position]
                token = int(draft_token_ids[first + position])
                if not accepts(token, logits):
                    output[row, position] = logits.argmax()
                    break
                output[row, position] = token
            else:
                output[row, count] = bonus_token_ids[row, 0]
            first += count
        return output

    rejection_sampler.rejection_sample = rejection_sample
