"""Output files of OpenAI's batch interface, and of servers that write the same (vLLM's ``run-batch``).

One line per request: ``custom_id``, and ``response`` with ``status_code`` and ``body``, or an ``error``. The
body is that of ``/v1/chat/completions``, ``/v1/completions`` or ``/v1/responses``. The prompts stand in the
input file and not in these lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tais.battery.logs.reading import (
    Object,
    Unreadable,
    identifier,
    joined_text,
    json_lines,
    listed,
    mapping,
    parts_of,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import LoggedSample, Trouble
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["batch_samples", "said_beside"]

_UNTOLD = "an output of the batch interface does not tell the prompts"
_CONTENT = ("text", "output_text", "refusal", "reasoning", "thinking")
_KNOWN = (
    "role",
    "name",
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
)


def batch_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the answers of a batch; of several choices each is a repeat.

    Raises
    ------
    ManifestError
        A line without ``custom_id``.
    """
    for number, row in json_lines(path):
        try:
            item_id = identifier(row.get("custom_id"), "custom_id")
        except Unreadable as error:
            what, place = f"not a line of a batch's output: {error}", Place(str(path), number)
            raise ManifestError(what, place=place, remedy="Give the output file of the batch") from error
        try:
            yield from _answers(row, item_id, number)
        except ValueError as error:
            trouble = Trouble("unreadable", first_line(error))
            yield LoggedSample(item_id, line=number, trouble=trouble, unaskable=_UNTOLD)


def _answers(row: Object, item_id: str, line: int) -> Iterator[LoggedSample]:
    response = mapping(row.get("response"))
    body = mapping(response.get("body"))
    status = response.get("status_code", 200)
    error = row.get("error") or body.get("error") or (None if status == 200 else f"status {status}")
    if error:
        what = shown(mapping(error).get("message") or error)
        trouble = Trouble("error", what)
        yield LoggedSample(item_id, line=line, trouble=trouble, unaskable=_UNTOLD)
        return
    if "output" in body:
        # A response that was cancelled, or is not done, has no error and no answer.
        if (state := body.get("status", "completed")) not in ("completed", "incomplete", None):
            trouble = Trouble("error", f"the response is {shown(state)}")
            yield LoggedSample(item_id, line=line, trouble=trouble, unaskable=_UNTOLD)
            return
        yield _of_response(body, item_id, line)
        return
    choices = listed(body.get("choices"))
    if not choices:
        raise Unreadable("the body has no choices")
    for repeat, choice in enumerate(_in_order([mapping(entry) for entry in choices])):
        message = mapping(choice["message"]) if "message" in choice else {"content": choice.get("text")}
        reason = text_or_none(choice.get("finish_reason"))
        filtered = reason == "content_filter"
        yield LoggedSample(
            item_id,
            text=joined_text(message.get("content")),
            repeat=repeat,
            finish_reason=reason,
            line=line,
            parts=parts_of(said_beside(message)),
            trouble=Trouble("content_filter", "the answer was filtered") if filtered else None,
            unaskable=_UNTOLD,
        )


def _in_order(choices: list[Object]) -> list[Object]:
    """Return choices by the index that each has: servers write them as they end."""
    places = [index for choice in choices if isinstance(index := choice.get("index"), int)]
    if sorted(places) != [*range(len(choices))]:
        return choices
    return [choices[places.index(place)] for place in range(len(choices))]


def said_beside(message: Object) -> dict[str, object]:
    """Return what a message of OpenAI's interface says beside its text."""
    content = [mapping(part) for part in listed(message.get("content"))]
    refusal = "".join(str(p.get("refusal", "")) for p in content if p.get("type") == "refusal")
    return {
        **{key: value for key, value in message.items() if key not in _KNOWN},
        "tool_calls": message.get("tool_calls") or message.get("function_call"),
        "refusal": message.get("refusal") or refusal,
        "reasoning": message.get("reasoning")
        or message.get("reasoning_content")
        or _thought(message, content),
        "content_parts": [part for part in content if part.get("type") not in _CONTENT],
    }


def _thought(message: Object, content: list[Object]) -> str:
    """Return what stands in parts: Mistral's thinking is a list of texts, OpenRouter's details have kinds."""
    parts = [part.get("thinking") for part in content if part.get("type") == "thinking"]
    told = [joined_text(part) for part in parts]
    for detail in map(mapping, listed(message.get("reasoning_details"))):
        # Encrypted details say nothing that two answers could share.
        told += [str(detail[key]) for key in ("text", "summary") if detail.get(key)]
    return "".join(told)


def _of_response(body: Object, item_id: str, line: int) -> LoggedSample:
    """Return the answer of ``/v1/responses``: messages, reasoning and calls, one after the other."""
    output = [mapping(entry) for entry in listed(body.get("output"))]
    messages = [entry for entry in output if entry.get("type") == "message"]
    parts = [mapping(part) for entry in messages for part in listed(entry.get("content"))]
    thoughts = [
        mapping(part)
        for entry in output
        if entry.get("type") == "reasoning"
        for part in (*listed(entry.get("content")), *listed(entry.get("summary")))
    ]
    reasoning = "".join(str(part.get("text", "")) for part in thoughts)
    calls = [
        {"type": "function", "function": {"name": entry.get("name"), "arguments": entry.get("arguments")}}
        for entry in output
        if entry.get("type") == "function_call"
    ]
    others = [e for e in output if e.get("type") not in ("message", "reasoning", "function_call")]
    refusal = "".join(str(part.get("refusal", "")) for part in parts if part.get("type") == "refusal")
    said = {"tool_calls": calls, "refusal": refusal, "reasoning": reasoning, "content_parts": others}
    why = text_or_none(mapping(body.get("incomplete_details")).get("reason"))
    ends = {None: "stop", "max_output_tokens": "length"}
    return LoggedSample(
        item_id,
        text="".join(joined_text(entry.get("content")) for entry in messages),
        finish_reason=ends.get(why, why),
        line=line,
        parts=parts_of(said),
        trouble=Trouble("content_filter", "the answer was filtered") if why == "content_filter" else None,
        unaskable=_UNTOLD,
    )
