"""Prompts as a model sees them, and which of their tokens nobody needs to steal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tais.errors import Place, UsageError

if TYPE_CHECKING:
    import transformers

__all__ = ["Prompt", "encode", "known_ends"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in tokens."""

    tokens: tuple[int, ...]
    prefix: int = 0
    """Tokens at the start that are the same in every prompt; given to the attack and not counted."""
    suffix: int = 0
    """The same at the end; not counted."""

    @property
    def known(self) -> tuple[int, ...]:
        """The tokens that the attack starts from."""
        return self.tokens[: self.prefix]

    @property
    def counted(self) -> slice:
        """Where the user's own tokens stand."""
        return slice(self.prefix, len(self.tokens) - self.suffix)


def _ids(tokenizer: transformers.PreTrainedTokenizerBase, text: str, chat: bool) -> list[int]:
    if not chat:
        return list(tokenizer(text)["input_ids"])
    turn = [{"role": "user", "content": text}]
    rendered = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(rendered, add_special_tokens=False)["input_ids"])


def known_ends(
    tokenizer: transformers.PreTrainedTokenizerBase, chat: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the tokens that begin and end every prompt: the template's, or those the tokenizer adds."""
    one, other = _ids(tokenizer, "A", chat), _ids(tokenizer, "7", chat)
    head = _common(one, other)
    tail = _common(one[head:][::-1], other[head:][::-1])
    return tuple(one[:head]), tuple(one[len(one) - tail :])


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))


def encode(tokenizer: transformers.PreTrainedTokenizerBase, text: str, place: Place, *, chat: bool) -> Prompt:
    """Return a prompt in tokens, within the chat template where `chat` says so.

    Raises
    ------
    UsageError
        When nothing of the prompt is left to recover.
    """
    head, tail = known_ends(tokenizer, chat)
    tokens = _ids(tokenizer, text, chat)
    # The template's tokens may melt into the text's where a template has no special tokens.
    prefix = _common(tokens, head)
    suffix = _common(tokens[prefix:][::-1], tail[::-1])
    if len(tokens) == prefix + suffix:
        raise UsageError("the prompt has no tokens of its own", place=place, remedy="Write a longer prompt")
    return Prompt(tuple(tokens), prefix, suffix)
