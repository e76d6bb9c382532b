"""All that a server's message says is the answer: text, calls of tools, a refusal, reasoning."""

from __future__ import annotations

from typing import Any

import pytest

from tais.common.parts import read_parts
from tais.engines.openai.answers import read_message
from tais.engines.openai.http import Malformed


@pytest.mark.parametrize(
    ("message", "text", "parts"),
    [
        ({"content": "hi"}, "hi", {}),
        ({"content": None}, "", {}),
        ({}, "", {}),
        ({"content": None, "refusal": "no"}, "", {"refusal": "no"}),
        ({"content": "a", "reasoning_content": "why"}, "a", {"reasoning": "why"}),
        ({"content": "a", "reasoning": "why"}, "a", {"reasoning": "why"}),
        (
            {
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "text", "text": "b"},
                    {"type": "refusal", "refusal": "c"},
                ]
            },
            "ab",
            {"refusal": "c"},
        ),
        (
            {"content": [{"type": "image_url", "image_url": "x"}]},
            "",
            {"content_parts": [{"type": "image_url", "image_url": "x"}]},
        ),
        (
            {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            "",
            {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        ),
    ],
)
def test_all_that_a_message_says_is_the_answer(
    message: dict[str, Any], text: str, parts: dict[str, Any]
) -> None:
    told, rendered = read_message(message)
    assert told == text
    assert read_parts(rendered) == parts


@pytest.mark.parametrize("content", [5, {"text": "a"}, [5]])
def test_a_content_of_another_kind_is_no_answer(content: object) -> None:
    with pytest.raises(Malformed, match="no text"):
        read_message({"content": content})
