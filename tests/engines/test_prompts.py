"""Texts of answers whose parts are marked by special tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tais.common.foreign import hide_broken_packages
from tais.engines.prompts import marks_parts, text_after
from tais.scorers.thinking import split_thinking

WORDS = ("<unk>", "</s>", "[THINK]", "[/THINK]", "so", "yes", "ask")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A tokenizer of a few words whose marks of thinking are special, as Magistral's are."""
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("torch")
    # First: transformers remembers what it found when it was imported.
    hide_broken_packages()
    transformers = pytest.importorskip("transformers")
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", additional_special_tokens=["[THINK]", "[/THINK]"]
    )


def test_marks_that_are_special_tokens_stay_in_the_text(tokenizer: Any) -> None:
    assert marks_parts(tokenizer)
    prompt, answer = [6, 6], [2, 4, 3, 5, 1]
    assert text_after(tokenizer, prompt, answer).split() == ["so", "yes"]
    kept = text_after(tokenizer, prompt, answer, special=True)
    assert "</s>" not in kept
    split = split_thinking(kept)
    assert (split.said, split.thinking) == ("yes", "so")


def test_other_tokenizers_leave_special_tokens_out() -> None:
    class Plain:
        all_special_tokens = ("<s>", "</s>")

    assert not marks_parts(Plain())
    assert not marks_parts(object())
