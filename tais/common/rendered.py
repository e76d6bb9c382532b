"""Prompts that went through a chat template already, as logs of other tools hold them."""

from __future__ import annotations

import re

__all__ = ["is_rendered"]

# What the published templates of the families begin with: a token of the beginning, or one that opens a turn.
# ChatML (Qwen, Yi) <|im_start|>; Llama 3 <|begin_of_text|>, <|start_header_id|>; Llama 4 <|header_start|>;
# Phi, GLM, Zephyr <|user|>, <|system|>, [gMASK]; harmony <|start|>; Command <|START_OF_TURN_TOKEN|>;
# DeepSeek <｜begin▁of▁sentence｜>; Gemma <bos>, <start_of_turn>, <|turn>; Llama 2, Mistral <s>, [INST],
# [SYSTEM_PROMPT], [AVAILABLE_TOOLS]; Granite <|start_of_role|>.
_OPENING = re.compile(
    r"\s*(?:<\|[A-Za-z0-9_ ]{1,40}\|?>|<｜[^｜<>\n]{1,40}｜>|<s>|<bos>|<BOS_TOKEN>|<start_of_turn>|"
    r"\[(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|gMASK)\])"
)


def is_rendered(prompt: str) -> bool:
    """Return whether a prompt begins with a token that chat templates write, and that people do not."""
    return _OPENING.match(prompt) is not None
