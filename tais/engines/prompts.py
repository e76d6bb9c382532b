"""A request's messages as token ids, by a transformers tokenizer and its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tais.engines.base import Message

__all__ = ["render"]


def render(tokenizer: Any, template: str | None, messages: Sequence[Message], chat: bool) -> list[int]:
    """Return the prompt's token ids.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    template
        Takes the place of the tokenizer's own.
    messages, chat
        Of the request. Without a template, or without `chat`, messages are joined by blank lines.
    """
    if chat and (template or getattr(tokenizer, "chat_template", None)):
        turns = [{"role": message.role, "content": message.content} for message in messages]
        rendered = tokenizer.apply_chat_template(
            turns, chat_template=template, add_generation_prompt=True, tokenize=True
        )
        # transformers 5 returns a mapping where 4 returned the ids.
        return list(rendered if isinstance(rendered, list) else rendered["input_ids"])
    return list(tokenizer.encode("\n\n".join(message.content for message in messages)))
