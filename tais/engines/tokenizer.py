"""Tokenizers, read without an engine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tais.common.install import pip_install
from tais.common.text import first_line
from tais.engines.base import EngineRefusal
from tais.manifest.model import Arm

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["NOT_INSTALLED", "read_tokenizer", "readings", "vocabulary_size"]

NOT_INSTALLED = f"transformers is not installed. Install it with: {pip_install('transformers')}"


def read_tokenizer(arm: Arm) -> PreTrainedTokenizerBase:
    """Return the tokenizer of an arm: its own, else its model's.

    Raises
    ------
    EngineRefusal
        When it cannot be read.
    """
    if importlib.util.find_spec("transformers") is None:
        raise EngineRefusal(NOT_INSTALLED)
    if importlib.util.find_spec("torch") is not None:
        from tais.common.foreign import hide_broken_packages

        hide_broken_packages()
    from transformers import AutoTokenizer

    name = arm.tokenizer or arm.model or ""
    revision = arm.revision if arm.tokenizer is None else None
    try:
        return AutoTokenizer.from_pretrained(name, revision=revision or "main", trust_remote_code=False)
    except (ValueError, OSError, ImportError, KeyError) as error:
        raise EngineRefusal(f"cannot read the tokenizer of {name}: {first_line(error)}") from error


class _Decodes(Protocol):
    """A tokenizer, as far as it makes text of tokens."""

    def decode(self, tokens: list[int], /, **options: Any) -> str | list[str]:
        """Return the text."""
        ...


def readings(tokenizer: _Decodes, tokens: Sequence[int]) -> list[str]:
    """Return tokens as text, special tokens left out and kept, no blank taken out."""
    # Tokenizers of other makers (Mistral's) have no such clean-up, and no argument for it.
    cleans = hasattr(tokenizer, "clean_up_tokenization_spaces")
    way = {"clean_up_tokenization_spaces": False} if cleans else {}
    found = (str(tokenizer.decode(list(tokens), skip_special_tokens=skip, **way)) for skip in (True, False))
    return list(dict.fromkeys(found))


def vocabulary_size(arm: Arm) -> int:
    """Return the size of a model's vocabulary, before vLLM is told how much to score at once."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(arm.model, revision=arm.revision)
    except (OSError, ValueError) as error:
        raise EngineRefusal(f"cannot read the configuration of {arm.model}: {error}") from error
    overrides = arm.engine_args.get("hf_overrides")
    if isinstance(overrides, Mapping) and "vocab_size" in overrides:
        return int(overrides["vocab_size"])
    return int(config.get_text_config().vocab_size)
