"""What an output of promptfoo says: its providers put thinking and calls of tools into one value.

A provider of OpenAI's interface gives ``Thinking: ...``, an empty line and the content; calls alone as their
list, and beside a content the whole message. Anthropic's gives each block of thinking with its signature, and
each call as JSON, with empty lines between; Google's a list of parts.

References
----------
promptfoo, src/providers/openai/chat.ts, src/providers/anthropic/util.ts (outputFromMessage)
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from tais.battery.logs.openai_batch import said_beside
from tais.battery.logs.reading import Object, joined_text, listed, mapping, text_or_none

__all__ = ["Output", "read_output"]

_PREFIX = "Thinking: "
_BREAK = "\n\n"
_SIGNED = re.compile(
    r"(?:Thinking: (?P<thought>.*?)\nSignature: \S*|Redacted Thinking: \S*)(?:\n\n|\Z)", re.S
)
_BLOCK = re.compile(r'\{\s*"type"\s*:\s*"\w*tool_\w+"')
_UNTOLD = "thinking and answer stand in one text and cannot be told apart; evaluate with showThinking: false"


class Output(NamedTuple):
    """An output in its parts."""

    text: str
    said: dict[str, object]
    """What is said beside the text, under the names of TAIS."""
    trouble: str | None = None
    """Why it cannot be read."""


def read_output(output: object, response: Object) -> Output:
    """Return what an output says.

    Parameters
    ----------
    output
        ``response.output``: a text, or what a provider made of a call or of structured output.
    response
        All of the response; its ``raw`` tells where thinking ends, where it is kept.
    """
    if isinstance(output, str):
        calls = _json_list(output)
        return _of_calls(calls) or _of_text(output, response)
    if isinstance(output, list) and (found := _of_calls(output)) is not None:
        return found
    value = mapping(output)
    if "content" in value and ("tool_calls" in value or "function_call" in value):
        return Output(joined_text(value["content"]), said_beside(value))
    if isinstance(value.get("name"), str) and isinstance(value.get("arguments"), str):
        return Output("", {"tool_calls": [{"type": "function", "function": value}]})
    return Output("" if output is None else json.dumps(output, ensure_ascii=False), {})


def _json_list(text: str) -> list[object]:
    if not text.startswith("[{"):
        return []
    try:
        return listed(json.loads(text))
    except (ValueError, RecursionError):
        return []


def _of_calls(entries: list[object]) -> Output | None:
    """Return calls: a list of OpenAI's form, or of Google's with texts among them; None for another list."""
    found = [mapping(entry) for entry in entries]
    if found and all("function" in entry for entry in found):
        return Output("", {"tool_calls": found})
    called = [mapping(entry["functionCall"]) for entry in found if "functionCall" in entry]
    if not called or not all({"functionCall", "text"} & entry.keys() for entry in found):
        return None
    calls = [
        {"type": "function", "function": {"name": call.get("name"), "arguments": call.get("args")}}
        for call in called
    ]
    return Output("".join(text_or_none(entry.get("text")) or "" for entry in found), {"tool_calls": calls})


def _of_text(text: str, response: Object) -> Output:
    thoughts: list[str] = []
    while (signed := _SIGNED.match(text)) is not None:
        thoughts.append(signed["thought"] or "")
        text = text[signed.end() :]
    if not thoughts and text.startswith(_PREFIX) and _BREAK in text:
        content = _raw_content(response)
        before, _, after = text.removeprefix(_PREFIX).partition(_BREAK)
        if content is not None and text.endswith(_BREAK + content):
            before, after = text[len(_PREFIX) : -len(_BREAK + content)], content
        elif _BREAK in after:
            return Output(text, {}, _UNTOLD)
        thoughts, text = [before], after
    blocks = text.split(_BREAK) if _BLOCK.search(text) else [text]
    called = [(block, _block(block)) for block in blocks]
    calls = [
        {"type": "function", "function": {"name": call.get("name"), "arguments": call.get("input")}}
        for _, call in called
        if call.get("type") == "tool_use"
    ]
    others = [call for _, call in called if call and call.get("type") != "tool_use"]
    said: dict[str, object] = {
        "tool_calls": calls,
        "reasoning": "\n".join(filter(None, thoughts)),
        "content_parts": others,
    }
    return Output(_BREAK.join(block for block, call in called if not call), said)


def _raw_content(response: Object) -> str | None:
    choices = listed(mapping(response.get("raw")).get("choices"))
    return text_or_none(mapping(mapping(choices[0]).get("message")).get("content")) if choices else None


def _block(block: str) -> Object:
    """Return a block that stands as JSON in a text; an empty one for words."""
    if not _BLOCK.match(block):
        return {}
    try:
        return mapping(json.loads(block))
    except (ValueError, RecursionError):
        return {}
