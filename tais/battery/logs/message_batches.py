"""Result files of Anthropic's and Gemini's batch interfaces.

Anthropic (Message Batches, one line per request): ``custom_id``, and ``result`` with its ``type``
(succeeded, errored, canceled, expired) and a ``message``. Gemini (Batch API): ``key``, and ``response`` or
``error``; Vertex AI writes ``request`` and ``status`` instead of a key, in any order, so that an answer there
is named by what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tais.battery.logs.reading import (
    Object,
    Unreadable,
    identifier,
    json_lines,
    listed,
    mapping,
    parts_of,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import LoggedSample, Trouble, Turn, asked_of, prompt_digest
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["anthropic_samples", "gemini_samples"]

_UNTOLD = "a result of the batch interface does not tell the prompts"
_REMEDY = (
    "Give the result file of the batch; of a table, say which columns hold what: columns: {item_id: ...}"
)
_ANTHROPIC_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
_GEMINI_ENDS = {"STOP": "stop", "MAX_TOKENS": "length"}
# Of FinishReason: what the service held back, in its own words.
_GEMINI_FILTERS = frozenset(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR")
)
_GEMINI_KNOWN = ("text", "thought", "thoughtSignature", "functionCall")


def anthropic_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the answers of a batch of messages.

    Raises
    ------
    ManifestError
        A line without ``custom_id``.
    """
    return _samples(path, lambda row: identifier(row.get("custom_id"), "custom_id"), _of_anthropic)


def gemini_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the answers of a batch; of several candidates each is a repeat.

    Raises
    ------
    ManifestError
        A line that has neither ``key`` nor a request.
    """
    return _samples(path, _gemini_id, _of_gemini)


def _samples(
    path: Path, name: Callable[[Object], str], read: Callable[[Object, Named], Iterator[LoggedSample]]
) -> Iterator[LoggedSample]:
    for number, row in json_lines(path):
        try:
            item_id = name(row)
        except Unreadable as error:
            what, place = f"not a line of a batch's results: {error}", Place(str(path), number)
            raise ManifestError(what, place=place, remedy=_REMEDY) from error
        named = partial(LoggedSample, item_id, line=number, unaskable=_UNTOLD)
        try:
            yield from read(row, named)
        except ValueError as error:
            yield named(trouble=Trouble("unreadable", first_line(error)))


Named = Callable[..., LoggedSample]
"""Makes the sample of a line."""


def _of_anthropic(row: Object, named: Named) -> Iterator[LoggedSample]:
    result = mapping(row.get("result"))
    kind = result.get("type")
    if kind != "succeeded":
        error = mapping(result.get("error"))
        inner = mapping(error.get("error")) or error
        what = inner.get("message") or inner.get("type") or f"the request is {shown(kind)}"
        yield named(trouble=Trouble("error", shown(what)))
        return
    message = mapping(result.get("message"))
    if not isinstance(message.get("content"), list):
        raise Unreadable("the message has no content")
    text, reasoning = "", ""
    calls: list[object] = []
    others: list[object] = []
    for block in map(mapping, listed(message["content"])):
        told = block.get("type")
        if told == "text":
            text += str(block.get("text", ""))
        elif told == "thinking":
            reasoning += str(block.get("thinking", ""))
        elif told == "tool_use":
            calls.append(block)
        elif told != "redacted_thinking":
            # What was thought and encrypted is drawn anew in every answer.
            others.append(block)
    ended = text_or_none(message.get("stop_reason"))
    said = {"tool_calls": calls, "reasoning": reasoning, "content_parts": others}
    yield named(
        text=text,
        finish_reason=_ANTHROPIC_ENDS.get(ended or "", ended),
        parts=parts_of(said),
        # Its classifiers broke the answer off ("Handle streaming refusals").
        trouble=Trouble("content_filter", "the answer was broken off: refusal")
        if ended == "refusal"
        else None,
    )


def _gemini_id(row: Object) -> str:
    if not isinstance(row.get("response"), dict | None):
        raise Unreadable(f"its response is no object: {shown(row['response'])}")
    for name in ("key", "custom_id", "id"):
        if row.get(name) is not None:
            return identifier(row[name], name)
    turns = _gemini_turns(row)
    if turns is None:
        raise Unreadable("it has no key, and no request of texts")
    return prompt_digest(turns)


def _gemini_turns(row: Object) -> tuple[Turn, ...] | None:
    """Return what was asked; None where it is not told, or more than text."""
    request = mapping(row.get("request"))
    system = request.get("systemInstruction") or request.get("system_instruction")
    contents = [mapping(one) for one in listed(request.get("contents"))]
    asked = [("system", mapping(system))] if system else []
    asked += [("assistant" if c.get("role") == "model" else "user", c) for c in contents]
    if not contents or request.get("tools"):
        return None
    turns = []
    for role, content in asked:
        parts = [mapping(part) for part in listed(content.get("parts"))]
        if not parts or any(set(part) != {"text"} or not isinstance(part["text"], str) for part in parts):
            return None
        turns.append(Turn(role, "".join(str(part["text"]) for part in parts)))
    return tuple(turns)


def _of_gemini(row: Object, named: Named) -> Iterator[LoggedSample]:
    response = mapping(row.get("response"))
    error = row.get("error") or response.get("error") or (row.get("status") if not response else None)
    turns = _gemini_turns(row)
    if turns is not None:
        named = partial(named, prompt=turns, asked=asked_of(turns, None, None), unaskable=None)
    if error:
        yield named(trouble=Trouble("error", shown(mapping(error).get("message") or error)))
        return
    candidates = [mapping(one) for one in listed(response.get("candidates"))]
    if not candidates:
        blocked = mapping(response.get("promptFeedback")).get("blockReason")
        if not blocked:
            raise Unreadable("the response has no candidates")
        yield named(trouble=Trouble("content_filter", f"the prompt was blocked: {shown(blocked)}"))
    for repeat, candidate in enumerate(candidates):
        ended = text_or_none(candidate.get("finishReason"))
        text, said = _gemini_said(candidate)
        held = ended in _GEMINI_FILTERS
        yield named(
            text=text,
            repeat=repeat,
            finish_reason="content_filter" if held else _GEMINI_ENDS.get(ended or "", ended),
            parts=parts_of(said),
            trouble=Trouble("content_filter", f"the answer was held back: {ended}") if held else None,
        )


def _gemini_said(candidate: Object) -> tuple[str, dict[str, object]]:
    parts = [mapping(part) for part in listed(mapping(candidate.get("content")).get("parts"))]
    texts = [(bool(part.get("thought")), str(part["text"])) for part in parts if "text" in part]
    return "".join(text for thought, text in texts if not thought), {
        "reasoning": "".join(text for thought, text in texts if thought),
        "tool_calls": [{"functionCall": part["functionCall"]} for part in parts if "functionCall" in part],
        "content_parts": [part for part in parts if set(part).difference(_GEMINI_KNOWN)],
    }
