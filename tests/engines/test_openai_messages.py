"""All that a server's message says is the answer: text, calls of tools, a refusal, reasoning."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tais.common.parts import read_parts
from tais.engines.base import ServerFailure
from tais.engines.openai.answers import read_answer, read_message
from tais.engines.openai.http import Client, Malformed
from tais.manifest.engine_options import OpenaiOptions


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
        # What TAIS does not know is kept.
        (
            {"role": "assistant", "content": "a", "audio": {"id": "x", "data": "UklG"}, "annotations": []},
            "a",
            {"audio": {"data": "UklG"}},
        ),
        ({"content": "a", "reasoning": "r", "reasoning_content": "r"}, "a", {"reasoning": "r"}),
        (
            {"content": "a", "reasoning": "r", "reasoning_content": "s"},
            "a",
            {"reasoning": "r", "reasoning_content": "s"},
        ),
        # Mistral's list, Anthropic's list.
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}, "a"]},
            "a",
            {"reasoning": "h"},
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": "h"},
                    {"type": "tool_use", "name": "f", "input": {}},
                ]
            },
            "",
            {"reasoning": "h", "tool_calls": [{"type": "tool_use", "name": "f", "input": {}}]},
        ),
        (
            {"content": [{"type": "refusal", "refusal": "no"}], "refusal": "never"},
            "",
            {"refusal": ["never", "no"]},
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


@pytest.mark.parametrize(("told", "kept"), [("###", "###"), (128009, "128009"), (None, None), ([1], None)])
def test_what_ended_an_answer_is_kept(told: object, kept: str | None) -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": told}
    assert read_answer({"choices": [choice]}, chat=True).stop_reason == kept


def test_a_server_that_is_not_there_is_reported_at_once() -> None:
    # Port 9 (discard) of this machine: nobody listens. Nine tries with growing pauses took 95 s.
    async def ask() -> object:
        return await Client("http://127.0.0.1:9", None, OpenaiOptions(base_url="http://127.0.0.1:9")).models()

    begun = time.monotonic()
    with pytest.raises(ServerFailure, match="All connection attempts failed"):
        asyncio.run(ask())
    assert time.monotonic() - begun < 15
