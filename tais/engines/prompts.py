"""A conversation as the token ids of an arm's own tokenizer, and token ids as text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tais.common.rendered import is_rendered
from tais.manifest.model import Arm
from tais.records import Message, Request

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Renderer", "encode_plain", "prompt_digest", "render", "text_after"]

# Tokens of a prompt that decide how the first token of its answer is written (a leading space, say).
_TAIL = 6


class Renderer:
    """Renders conversations by a tokenizer and its chat template, each once.

    Parameters
    ----------
    tokenizer
        Of transformers.
    arm
        Its ``chat_template``, where given, takes the place of the tokenizer's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, arm: Arm) -> None:
        self.tokenizer = tokenizer
        self.template = Path(arm.chat_template).read_text(encoding="utf-8") if arm.chat_template else None
        self._known: dict[tuple[tuple[Message, ...], bool], list[int]] = {}

    def __call__(self, request: Request) -> list[int]:
        """Return the prompt's token ids."""
        key = request.messages, request.chat
        ids = self._known.get(key)
        if ids is None:
            ids = self._known[key] = render(self.tokenizer, self.template, *key)
        return ids


def render(
    tokenizer: PreTrainedTokenizerBase, template: str | None, messages: Sequence[Message], chat: bool
) -> list[int]:
    """Return the token ids of a conversation.

    Parameters
    ----------
    tokenizer
        Of transformers.
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
    return encode_plain(tokenizer, "\n\n".join(message.content for message in messages))


def encode_plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the token ids of a text that goes through no template.

    The tokenizer puts its token of the beginning in front, unless the text has it or went through a template
    already: twice is what no model was trained on.
    """
    first = getattr(tokenizer, "bos_token", None)
    rendered = is_rendered(text) or (isinstance(first, str) and bool(first) and text.startswith(first))
    return list(tokenizer.encode(text, add_special_tokens=not rendered))


def prompt_digest(ids: Sequence[int]) -> str:
    """Return the sha256 (hex) of token ids, as of little-endian 32-bit integers."""
    return hashlib.sha256(np.asarray(ids, dtype="<i4").tobytes()).hexdigest()


def text_after(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], answer: Sequence[int]) -> str:
    """Return the text of an answer as it continues its prompt, special tokens left out.

    Decoded alone, some tokenizers take the space off the first word.
    """
    tail = list(prompt[-_TAIL:])
    before, whole = (
        tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for ids in (tail, [*tail, *answer])
    )
    if whole.startswith(before):
        return str(whole[len(before) :])
    # The tail begins or ends inside a character.
    alone = tokenizer.decode(list(answer), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(alone)
