"""Chats as data sets publish them: OpenAI's messages, ShareGPT's, in a column of text, content in parts.

References
----------
Chat format of OpenAI, https://platform.openai.com/docs/api-reference/chat; of ShareGPT (``from``, ``value``)
as https://huggingface.co/docs/trl/dataset_formats names it beside ``messages``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tais.battery.cells import parsed_cell
from tais.battery.layouts import is_chat
from tais.records import Message

__all__ = ["as_chat", "to_message"]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
}
_SPEAKER = ("role", "from", "speaker")
_WORDS = ("content", "value", "text", "parts")
# Said by a turn beside its text; what cannot be asked again must not be dropped in silence.
_BESIDE = ("tool_calls", "function_call", "tool_call_id", "images", "audio", "image")
# Where a text begins like this and ends like a list, nobody means to ask it as it stands.
_MESSAGES = re.compile(
    r"""\s*(?:(?:np\.|numpy\.)?array\()?\[\s*\{\s*["'](?:role|from|speaker|content|value)["']\s*:"""
)
_INSIDE = ("messages", "conversations", "conversation")


def as_chat(value: Any) -> Any:
    """Return the chat that a cell holds, as a list of turns; anything else as it is.

    A cell may hold the list, an object with it, or either as text: JSON, or as Python or numpy print it.

    Raises
    ------
    ValueError
        A text that is a whole list of messages by its looks, and cannot be read as one.
    """
    found = value
    if isinstance(value, str):
        # Most prompts are no chats: only those that name a speaker are looked into.
        found = parsed_cell(value) if any(name in value for name in _SPEAKER) else None
    if isinstance(found, Mapping):
        found = next((found[name] for name in _INSIDE if is_chat(found.get(name))), None)
    if is_chat(found):
        return found
    if isinstance(value, str) and _MESSAGES.match(value) and value.rstrip().endswith(("]", ")")):
        raise ValueError("the text looks like a list of messages, and cannot be read as one")
    return value


def to_message(turn: Any) -> Message:
    """Return one turn of a chat.

    Raises
    ------
    ValueError
        Without role or text, with a role that is not known, or with more than text.
    """
    if not isinstance(turn, Mapping):
        raise ValueError(f"a turn of a chat is an object, not {type(turn).__name__}")
    speaker = next((turn[name] for name in _SPEAKER if name in turn), None)
    name = next((name for name in _WORDS if name in turn), None)
    if speaker is None or name is None:
        raise ValueError("a message needs role and content (ShareGPT: from and value)")
    role = _ROLES.get(str(speaker).lower())
    if role is None:
        raise ValueError(f"no role {speaker!r}; known are {', '.join(_ROLES)}")
    beside = [key for key in _BESIDE if turn.get(key)]
    if beside:
        raise ValueError(f"a message with {beside[0]} cannot be asked as text")
    content = _text(turn[name])
    if not content.strip():
        raise ValueError("a message without text")
    return Message(role, content)


def _text(content: Any) -> str:
    if content is None:
        return ""
    parts = content if isinstance(content, list) else [content]
    return "".join(map(_part, parts))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
    text = part.get("text") if isinstance(part, Mapping) else None
    if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
        raise ValueError(f"content of type {kind} cannot be asked as text")
    return text
