"""A conversation as the token ids of an arm's own tokenizer, and token ids as text."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tais.common.rendered import is_rendered
from tais.common.text import first_line
from tais.engines.base import EngineRefusal
from tais.engines.chat_template import CLOCK, clock_of
from tais.manifest.model import Arm
from tais.records import Message, Request
from tais.scorers.thinking import PART_TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Renderer",
    "is_prefill",
    "marks_parts",
    "prompt_digest",
    "render",
    "renders_itself",
    "text_after",
]

# Tokens of a prompt that decide how the first token of its answer is written (a leading space, say).
_TAIL = 6


class Renderer:
    """Renders conversations by a tokenizer and its chat template, each once.

    Parameters
    ----------
    tokenizer
        Of transformers, or a class of an engine's own.
    arm
        Its ``chat_template``, where given, takes the place of the tokenizer's; ``chat_template_kwargs`` and
        the day of ``chat_template_date`` are what the template reads.

    Raises
    ------
    EngineRefusal
        For a ``chat_template`` that the tokenizer's class would not look at.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, arm: Arm) -> None:
        self.tokenizer = tokenizer
        self.template = Path(arm.chat_template).read_text(encoding="utf-8") if arm.chat_template else None
        own = renders_itself(tokenizer)
        if own and self.template is not None:
            raise EngineRefusal(
                f"the tokenizer {type(tokenizer).__name__} writes conversations by itself and reads no "
                "chat_template. Leave it out, or choose another tokenizer_mode"
            )
        self.options: dict[str, object] = dict(arm.chat_template_kwargs or {})
        if arm.chat_template_date is not None and not own:
            # What a template is given goes before the clock that its environment holds.
            self.options[CLOCK] = clock_of(arm.chat_template_date)
        self._own = own
        self.marks_parts = marks_parts(tokenizer)
        """Whether special tokens tell parts of an answer apart, so that its text keeps them."""
        self._known: dict[tuple[tuple[Message, ...], bool], list[int]] = {}

    def resolved(self) -> dict[str, object]:
        """Return what writes the prompts, for engine.json: a template's digest, a class, or nothing."""
        if self._own:
            return {"chat_template": type(self.tokenizer).__name__}
        text = self.template or getattr(self.tokenizer, "chat_template", None)
        # Where there are several, the tokenizer holds them by name.
        named = json.dumps(text, sort_keys=True) if isinstance(text, dict) else text
        return {"chat_template": hashlib.sha256(named.encode()).hexdigest() if named else None}

    def __call__(self, request: Request) -> list[int]:
        """Return the prompt's token ids.

        Raises
        ------
        EngineRefusal
            When the template refuses the conversation, naming the item.
        """
        key = request.messages, request.chat
        ids = self._known.get(key)
        if ids is None:
            try:
                ids = render(self.tokenizer, self.template, *key, self.options)
            except EngineRefusal as error:
                where = f"item {request.key.item_id!r} of battery {request.key.battery!r}"
                raise EngineRefusal(f"{where}: {error}") from error
            self._known[key] = ids
        return ids


def is_prefill(messages: Sequence[Message]) -> bool:
    """Whether a conversation ends in a turn of the assistant, which is then continued."""
    return messages[-1].role == "assistant"


def renders_itself(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer's class writes conversations by itself, without a template.

    vLLM's classes for Mistral, DeepSeek and Kimi do, and transformers' for mistral-common: they have an
    ``apply_chat_template`` of their own, and most no ``chat_template``.
    """
    for base in type(tokenizer).__mro__:
        method = vars(base).get("apply_chat_template")
        if callable(method) and not _passes_on(method):
            # The method of transformers; and a protocol, which only names it.
            return base.__name__ not in ("PreTrainedTokenizerBase", "TokenizerLike")
    return False


def _passes_on(method: Callable[..., object]) -> bool:
    """Whether a method names no argument: vLLM 0.32 puts such a one before every tokenizer."""
    _, *named = inspect.signature(method).parameters.values()
    return all(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in named)


def render(
    tokenizer: PreTrainedTokenizerBase,
    template: str | None,
    messages: Sequence[Message],
    chat: bool,
    options: Mapping[str, object] | None = None,
) -> list[int]:
    """Return the token ids of a conversation.

    Parameters
    ----------
    tokenizer
        Of transformers, or a class of an engine's own.
    template
        Takes the place of the tokenizer's own.
    messages, chat
        Of the request. Without a template, or without `chat`, messages are joined by blank lines. A last turn
        of the assistant is left open, so that the model continues it.
    options
        What the template reads beside the conversation.

    Raises
    ------
    EngineRefusal
        When the template refuses the conversation.
    """
    own = renders_itself(tokenizer)
    if chat and (template or own or getattr(tokenizer, "chat_template", None)):
        return _templated(tokenizer, template, messages, options or {}, own=own)
    return _plain(tokenizer, "\n\n".join(message.content for message in messages))


def _templated(
    tokenizer: PreTrainedTokenizerBase,
    template: str | None,
    messages: Sequence[Message],
    options: Mapping[str, object],
    *,
    own: bool,
) -> list[int]:
    prefill = is_prefill(messages)
    how: dict[str, object] = {"continue_final_message": True} if prefill else {"add_generation_prompt": True}
    if not own:
        how["chat_template"] = template
    turns = [message.as_dict() for message in messages]
    try:
        rendered = tokenizer.apply_chat_template(turns, tokenize=True, **how, **options)
    # Templates and the classes that do without raise what they like: of Jinja, of mistral-common, ValueError.
    except Exception as error:
        raise EngineRefusal(f"the chat template refuses this conversation: {first_line(error)}") from error
    # transformers 5 returns a mapping where 4 returned the ids.
    ids = list(rendered if isinstance(rendered, list) else rendered["input_ids"])
    if own and prefill and not _ends_with(tokenizer, ids, messages[-1].content):
        raise EngineRefusal(
            f"the tokenizer {type(tokenizer).__name__} cannot leave an assistant turn open, as this chat asks"
        )
    return ids


def _ends_with(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], text: str) -> bool:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False)).rstrip().endswith(text.rstrip())


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    first = getattr(tokenizer, "bos_token", None)
    if is_rendered(text) or (isinstance(first, str) and first and text.startswith(first)):
        # Rendered already: a second first token would be another prompt.
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(tokenizer.encode(text))


def prompt_digest(ids: Sequence[int]) -> str:
    """Return the sha256 (hex) of token ids, as of little-endian 32-bit integers."""
    return hashlib.sha256(np.asarray(ids, dtype="<i4").tobytes()).hexdigest()


def marks_parts(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether marks of thinking or of tool calls are among a tokenizer's special tokens.

    A text without them would not tell what was thought from what was said.
    """
    return not PART_TOKENS.isdisjoint(map(str, getattr(tokenizer, "all_special_tokens", ())))


def text_after(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], answer: Sequence[int], *, special: bool = False
) -> str:
    """Return the text of an answer as it continues its prompt, special tokens left out but where `special`.

    The token that ends the answer is left out in both. Decoded alone, some tokenizers take the space off the
    first word.
    """
    if special and answer and answer[-1] in tokenizer.all_special_ids:
        answer = answer[:-1]
    tail = list(prompt[-_TAIL:])
    before, whole = (
        tokenizer.decode(ids, skip_special_tokens=not special, clean_up_tokenization_spaces=False)
        for ids in (tail, [*tail, *answer])
    )
    if whole.startswith(before):
        return str(whole[len(before) :])
    # The tail begins or ends inside a character.
    alone = tokenizer.decode(
        list(answer), skip_special_tokens=not special, clean_up_tokenization_spaces=False
    )
    return str(alone)
