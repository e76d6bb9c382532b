"""What a server answered, read with suspicion: anything but the expected form is :class:`Malformed`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from pydantic import JsonValue, TypeAdapter

from tais.common.parts import render_parts
from tais.common.text import words
from tais.engines.openai.http import Malformed

__all__ = ["Answer", "Row", "read_answer", "read_echo", "read_ids", "read_message", "read_prompt_scores"]

_TOKEN_ID = re.compile(r"token_id:(\d+)")
_REASONS = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
}
"""Words of other servers for the two reasons that matter."""
# The server broke an answer off for reasons of its own: no answer.
_BROKEN_OFF = {"abort", "error", "cancelled"}
_LARGEST_ID = 1 << 31
# Steps of a draft are stored in 16 bits.
_LARGEST_STEP = 1 << 15
# vLLM says -9999 for what cannot be; no model scores beyond this, and float32 ends further out.
_LARGEST_SCORE = 1e6
_LONGEST_REASON = 60
_KNOWN = (
    "role", "name", "content", "tool_calls", "function_call", "refusal", "reasoning", "reasoning_content",
    "reasoning_details",
)  # fmt: skip
_PARTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])

Row = tuple[float, list[tuple[int, float]]]
"""Score of the token given, and tokens with scores in descending order; -1 for a token without an id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of a completion."""

    text: str
    reason: str
    model: str | None
    token_ids: list[int] | None
    prompt_ids: list[int] | None
    prompt_tokens: int | None
    top1: list[float] | None
    top2: list[float] | None
    other: list[int] | None
    """Best token other than the one given."""
    drafted: list[int] | None
    accepted: list[int] | None
    parts: str | None = None
    """What stands outside the content; see :func:`tais.common.parts.render_parts`."""
    stop_reason: str | None = None
    """What vLLM says ended the answer: a stop string, or the id of a token."""


def read_answer(value: object, *, chat: bool) -> Answer:
    """Read an answer of ``/v1/chat/completions`` or ``/v1/completions``.

    Raises
    ------
    Malformed
        Where it has not one choice with a text, or contradicts itself.
    """
    choice = _choice(value)
    assert isinstance(value, dict), "what has a choice is a mapping"
    text: object
    parts: str | None
    if chat:
        message = choice.get("message")
        if not isinstance(message, dict):
            raise Malformed("its answer has no message")
        text, parts = read_message(message)
    else:
        text, parts = choice.get("text"), None
    if not isinstance(text, str):
        raise Malformed("its answer has no text")
    told_reason = choice.get("finish_reason")
    reason = words(told_reason)[:_LONGEST_REASON] if isinstance(told_reason, str) else None
    if reason in _BROKEN_OFF:
        raise Malformed(f"it broke an answer off ({reason})")
    counts = value.get("usage")
    usage = counts if isinstance(counts, dict) else {}
    ids = read_ids(choice.get("token_ids", _row_ids(choice.get("logprobs"))))
    counted = usage.get("completion_tokens")
    if ids is not None and isinstance(counted, int) and counted != len(ids):
        raise Malformed(f"it counts {counted} tokens and lists {len(ids)}")
    prompt = read_ids(choice.get("prompt_token_ids", value.get("prompt_token_ids")))
    told = usage.get("prompt_tokens")
    # llama.cpp scores drafted tokens with 0.0 (its issue 27972): no score of such an answer counts.
    timings = value.get("timings")
    drafting = isinstance(timings, dict) and bool(timings.get("draft_n"))
    top1, top2, other = _top_two(None if drafting else choice.get("logprobs"), ids)
    drafted, accepted = _steps(value.get("metrics"))
    model = value.get("model")
    return Answer(
        text=text,
        reason=_REASONS.get(reason, reason) if reason else "unknown",
        model=model if isinstance(model, str) else None,
        token_ids=ids,
        prompt_ids=prompt,
        prompt_tokens=len(prompt) if prompt is not None else told if _is_id(told) else None,
        top1=top1,
        top2=top2,
        other=other,
        drafted=drafted,
        accepted=accepted,
        parts=parts,
        stop_reason=str(ended) if isinstance(ended := choice.get("stop_reason"), str | int) else None,
    )


def read_message(message: Mapping[str, object]) -> tuple[str, str | None]:
    """Return the text of an assistant's message, and what it says outside of it.

    A content of null is an empty text. Of a list of content the texts are joined. A key that TAIS does not
    know is kept as a part of its own name.

    Raises
    ------
    Malformed
        Where the content is neither, or a part is no JSON.
    """
    content = message.get("content")
    said: dict[str, object] = {key: value for key, value in message.items() if key not in _KNOWN}
    said |= _first_of(message, "tool_calls", "function_call") | _first_of(message, "refusal")
    said |= _first_of(message, "reasoning", "reasoning_content") or _detailed(message)
    if isinstance(content, list):
        content, beside = _listed_content(content)
        for name, part in beside.items():
            told = said.setdefault(name, part)
            if told is not part and told != part:
                # The same kind of part twice, and neither is dropped.
                said[name] = [
                    *(told if isinstance(told, list) else [told]),
                    *(part if isinstance(part, list) else [part]),
                ]
    elif content is not None and not isinstance(content, str):
        raise Malformed("its answer has no text")
    try:
        return content or "", render_parts(_PARTS.validate_python(said))
    except ValueError as error:
        raise Malformed("a part of its answer is no JSON") from error


def _detailed(message: Mapping[str, object]) -> dict[str, object]:
    """Return what OpenRouter tells of the reasoning in details; encrypted ones are drawn anew each time."""
    details = message.get("reasoning_details")
    told = [
        detail.get("text") or detail.get("summary") or ""
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict)
    ]
    text = "".join(part for part in told if isinstance(part, str))
    return {"reasoning": text} if text else {}


def _first_of(message: Mapping[str, object], *names: str) -> dict[str, object]:
    """Return what a message says under several names, by the first; what differs elsewhere, by its own."""
    told = {name: message[name] for name in names if message.get(name)}
    values = list(told.values())
    kept = {name: value for name, value in told.items() if value != values[0]}
    return {names[0]: values[0]} | kept if told else {}


def _listed_content(content: Sequence[object]) -> tuple[str, dict[str, object]]:
    """Return the text of a list of content, and what else is in it by name."""
    text, beside = "", dict[str, object]()
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            text += part
        elif not isinstance(part, dict):
            raise Malformed("its answer has no text")
        elif kind in ("text", "output_text") and isinstance(part.get("text"), str):
            text += part["text"]
        elif kind in _TEXT_PARTS and (told := _told(part, kind)) is not None:
            beside[_TEXT_PARTS[kind]] = f"{beside.get(_TEXT_PARTS[kind], '')}{told}"
        else:
            others = beside.setdefault("tool_calls" if kind in _CALL_PARTS else "content_parts", [])
            assert isinstance(others, list), "nothing else is put there"
            others.append(part)
    return text, beside


# Mistral's and Anthropic's interfaces call it thinking; Anthropic's calls of tools are parts of the content.
_TEXT_PARTS = {"refusal": "refusal", "reasoning": "reasoning", "thinking": "reasoning"}
_CALL_PARTS = ("tool_use", "function_call", "tool_call")


def _told(part: Mapping[str, object], kind: str) -> str | None:
    """Return the text of a part, under its own name or as `text`, whole or in pieces; None without one."""
    told = part.get(kind, part.get("text"))
    if isinstance(told, list):
        pieces = [piece.get("text") if isinstance(piece, dict) else piece for piece in told]
        told = "".join(map(str, pieces)) if all(isinstance(piece, str) for piece in pieces) else None
    return told if isinstance(told, str) else None


def _choice(value: object) -> dict[str, object]:
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Malformed("its answer has not one choice")
    return choices[0]


def read_ids(value: object) -> list[int] | None:
    """Read token ids; None where there are none."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(map(_is_id, value)):
        raise Malformed("its token ids are no whole numbers, or larger than any vocabulary")
    return value


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_ID


def _number(value: object) -> float:
    # First as it is: an integer of a thousand digits is no float.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST_SCORE:
        return float(value)
    raise Malformed("a log-probability is no number, or beyond any model's")


def _top_two(
    logprobs: object, ids: Sequence[int] | None
) -> tuple[list[float] | None, list[float] | None, list[int] | None]:
    try:
        rows = _listed(logprobs)
    except Malformed:
        # The text and its tokens are an answer all the same; it has no scores then.
        return None, None, None
    if rows is None or (ids is not None and len(rows) != len(ids)):
        return None, None, None
    ranked = [sorted(row, key=lambda entry: -entry[1]) for row in rows]
    top1 = [row[0][1] for row in ranked]
    top2 = [row[min(1, len(row) - 1)][1] for row in ranked]
    tokens = [[_token_id(token) for token, _ in row] for row in ranked]
    if ids is None or any(token is None for row in tokens for token in row):
        return top1, top2, None
    other = [
        next((t for t in row if t is not None and t != own), own)
        for own, row in zip(ids, tokens, strict=True)
    ]
    return top1, top2, other


def _listed(logprobs: object) -> list[list[tuple[str, float]]] | None:
    """Return the best tokens per position, in the chat or the older form; None where they are not told."""
    if not isinstance(logprobs, dict):
        return None
    new = logprobs.get("content")
    rows = new if isinstance(new, list) else logprobs.get("top_logprobs")
    if not isinstance(rows, list):
        return None
    found: list[list[tuple[str, float]]] = []
    for row in rows:
        entries = row.get("top_logprobs") if rows is new and isinstance(row, dict) else row
        if rows is new and isinstance(entries, list):
            pairs = [(_named(e), _number(e.get("logprob"))) for e in entries if isinstance(e, dict)]
        elif isinstance(entries, dict):
            pairs = [(token, _number(score)) for token, score in entries.items()]
        else:
            return None
        if not pairs:
            return None
        found.append(pairs)
    return found


def _named(entry: dict[str, object]) -> str:
    """Return the name of a token, by its id where llama.cpp tells it beside the text."""
    return f"token_id:{entry['id']}" if isinstance(entry.get("id"), int) else str(entry.get("token"))


def _row_ids(logprobs: object) -> list[object] | None:
    """Return the ids that llama.cpp tells with the scores of an answer; None elsewhere."""
    rows = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        return None
    return [row["id"] for row in rows] or None


def _token_id(text: str) -> int | None:
    match = _TOKEN_ID.fullmatch(text)
    # Ten digits hold every id; thousands would take time.
    found = int(match[1]) if match and len(match[1]) <= 10 else None
    return found if _is_id(found) else None


def _steps(metrics: object) -> tuple[list[int] | None, list[int] | None]:
    """Return drafts per step as vLLM tells them (``--per-request-spec-decode-metrics detailed``)."""
    told = metrics.get("speculative_decoding") if isinstance(metrics, dict) else None
    if not isinstance(told, dict):
        return None, None
    drafted, accepted = read_ids(told.get("per_step_drafted")), read_ids(told.get("per_step_accepted"))
    if drafted is None or accepted is None or len(drafted) != len(accepted):
        return None, None
    if max([0, *drafted, *accepted]) >= _LARGEST_STEP:
        raise Malformed("it counts more drafts in a step than any engine makes")
    return drafted, accepted


def read_prompt_scores(value: object, ids: Sequence[int], first: int) -> list[Row]:
    """Read vLLM's ``prompt_logprobs`` of the tokens from index `first` on.

    Raises
    ------
    Malformed
        Where a row lacks the token that was given.
    """
    rows = _choice(value).get("prompt_logprobs")
    if not isinstance(rows, list) or len(rows) != len(ids):
        raise Malformed("it scores no prompt tokens")
    found: list[Row] = []
    for token, row in zip(ids[first:], rows[first:], strict=True):
        if not isinstance(row, dict) or str(token) not in row:
            raise Malformed(f"it does not score the token {token} that it was given")
        try:
            scores = [(_row_id(key), _number(entry["logprob"])) for key, entry in row.items()]
        except (TypeError, KeyError, ValueError) as error:
            raise Malformed("its prompt scores are damaged") from error
        found.append((dict(scores)[token], sorted(scores, key=lambda entry: -entry[1])))
    return found


def _row_id(key: str) -> int:
    found = int(key) if len(key) <= 10 else -1
    if not _is_id(found):
        raise Malformed("its prompt scores are damaged")
    return found


def read_echo(value: object, ids: Sequence[int], first: int, to_id: Callable[[str], int | None]) -> list[Row]:
    """Read the scores of an echoed prompt, from index `first` on.

    Parameters
    ----------
    value
        Answer of ``/v1/completions`` with ``echo`` and ``logprobs``.
    ids
        Tokens of the prompt.
    first
        Index of the first that counts.
    to_id
        Returns the id of a token's text; None where it cannot.

    Raises
    ------
    Malformed
        Where it has other tokens than it was given, or no scores.
    """
    logprobs = _choice(value).get("logprobs")
    logprobs = logprobs if isinstance(logprobs, dict) else {}
    columns: list[list[object]] = []
    for name in ("tokens", "token_logprobs", "top_logprobs"):
        column = logprobs.get(name)
        if not isinstance(column, list) or len(column) < len(ids):
            raise Malformed("it scores no prompt tokens")
        columns.append(column)
    found: list[Row] = []
    for token, text, score, best in zip(ids, *(column[: len(ids)] for column in columns), strict=True):
        told = _token_id(str(text))
        if told is not None and told != token:
            raise Malformed("it scores other tokens than it was given")
        found.append((0.0, []) if len(found) < first else _echoed(token, score, best, to_id))
    return found[first:]


def _echoed(token: int, score: object, best: object, to_id: Callable[[str], int | None]) -> Row:
    if not isinstance(best, dict) or not best:
        raise Malformed("it lists no best tokens of a prompt")
    own = _number(score)
    named = {text: _token_id(text) for text in best}
    entries = [
        (
            (-1 if (found := known if known is not None else to_id(text)) is None else found),
            _number(best[text]),
        )
        for text, known in named.items()
    ]
    if all(found != token for found, _ in entries) and own > max(value for _, value in entries):
        entries.append((token, own))
    return own, sorted(entries, key=lambda entry: -entry[1])
