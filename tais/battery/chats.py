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
from tais.battery.layouts import ROLES, by_role, is_chat
from tais.records import Message

__all__ = ["SYSTEM_NAMES", "as_chat", "text_of", "to_message"]

_SPEAKER = ("role", "from", "speaker")
_NAMED = (*_SPEAKER, "user", "human", "User", "Human")
_WORDS = ("content", "value", "text", "parts")
# Said by a turn beside its text; what cannot be asked again must not be dropped in silence.
_BESIDE = ("tool_calls", "function_call", "tool_call_id", "images", "audio", "image")
# Where a text begins like this and ends like a list, nobody means to ask it as it stands.
_MESSAGES = re.compile(
    r"""\s*(?:(?:np\.|numpy\.)?array\()?\[\s*\{\s*["'](?:role|from|speaker|content|value)["']\s*:"""
)
_TRANSCRIPT = "\n\nHuman: "
_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")
_INSIDE = ("messages", "conversations", "conversation")
SYSTEM_NAMES = ("system", "system_prompt", "system_message")
"""How data sets call a system prompt that stands beside the turns."""
# Offered to the model beside the turns: asked without them, it would be another question.
_OFFERED = ("tools", "functions")


def as_chat(value: Any) -> Any:
    """Return the chat that a cell holds, as a list of turns; anything else as it is.

    A cell may hold the list, an object with it, or either as text: JSON, or as Python or numpy print it. A
    system prompt that the object has beside its turns is the first of them. Turns may also be pairs of role
    and text, or objects with the role for a key.

    Raises
    ------
    ValueError
        A text that is a whole list of messages by its looks, and cannot be read as one; an object that offers
        tools, or has two system prompts.
    """
    found = value
    if isinstance(value, str) and value.startswith(_TRANSCRIPT):
        return _transcribed(value)
    if isinstance(value, str):
        # Most prompts are no chats: only those that name a speaker are looked into.
        found = parsed_cell(value) if any(name in value for name in _NAMED) else None
    if isinstance(found, Mapping):
        found = _inside(found)
    found = by_role(found)
    if is_chat(found):
        return found
    if isinstance(value, str) and _MESSAGES.match(value) and value.rstrip().endswith(("]", ")")):
        raise ValueError("the text looks like a list of messages, and cannot be read as one")
    return value


def _transcribed(text: str) -> Any:
    """Return the turns of a transcript as Anthropic's data sets (HH-RLHF) write it.

    A last turn without words is where the model goes on, and no turn.
    """
    _, *pieces = _TURN.split(text)
    turns = [
        {"role": ROLES[speaker.lower()], "content": words}
        for speaker, words in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    if turns[-1]["role"] == "assistant" and not turns[-1]["content"].strip():
        turns.pop()
    return turns


def _inside(found: Mapping[str, Any]) -> Any:
    """Return the turns of an object, with the system prompt that it has beside them; None without turns."""
    turns = next((turns for name in _INSIDE if is_chat(turns := by_role(found.get(name)))), None)
    if turns is None:
        return None
    if offered := [name for name in _OFFERED if found.get(name)]:
        raise ValueError(f"a chat with {offered[0]} cannot be asked as text")
    system = next((found[name] for name in SYSTEM_NAMES if found.get(name)), None)
    if system is None:
        return turns
    first = {"role": "system", "content": system}
    if any(ROLES.get(str(_speaker(turn)).lower()) == "system" for turn in turns):
        if to_message(turns[0]) == to_message(first):
            return turns
        raise ValueError("the chat has a system prompt beside its turns, and one among them")
    return [first, *turns]


def _speaker(turn: Mapping[str, Any]) -> Any:
    return next((turn[name] for name in _SPEAKER if name in turn), None)


def to_message(turn: Any) -> Message:
    """Return one turn of a chat.

    Raises
    ------
    ValueError
        Without role or text, with a role that is not known, or with more than text.
    """
    if isinstance(turn, str):
        raise ValueError("a list of texts does not say who speaks; `column.0` asks the first of them alone")
    if not isinstance(turn, Mapping):
        raise ValueError(f"a turn of a chat is an object, not {type(turn).__name__}")
    speaker = _speaker(turn)
    name = next((name for name in _WORDS if name in turn), None)
    if speaker is None or name is None:
        raise ValueError("a message needs role and content (ShareGPT: from and value)")
    role = ROLES.get(str(speaker).lower())
    if role is None:
        raise ValueError(f"no role {speaker!r}; known are {', '.join(ROLES)}")
    beside = [key for key in _BESIDE if turn.get(key)]
    if beside:
        raise ValueError(f"a message with {beside[0]} cannot be asked as text")
    content = text_of(turn[name])
    if not content.strip():
        raise ValueError("a message without text")
    return Message(role, content)


def text_of(content: Any) -> str:
    """Return the text of a content, which may come in parts.

    Raises
    ------
    ValueError
        A part that is no text.
    """
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
