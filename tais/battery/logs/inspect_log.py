"""Logs of Inspect: ``.eval`` archives (deflate or zstd) and ``.json``.

Since 0.3.206 archives are compressed with zstd. A text, or a picture, may stand under ``attachments`` with a
reference in its place.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.battery.logs.reading import (
    Object,
    Unreadable,
    as_json,
    identifier,
    joined_text,
    json_log,
    listed,
    mapping,
    parts_of,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import Asked, LoggedSample, Trouble, Turn, asked_of, digest_of
from tais.common.jsonlines import parse_json
from tais.common.packed import broken_archive, open_zip
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["inspect_samples"]

# Inspect and vLLM name the same ends differently.
_STOPS = {"max_tokens": "length", "model_length": "length"}
_ATTACHMENT = "attachment://"
# Of one sample with all its events, and of a whole archive: a small file can unpack to terabytes.
_LARGEST_SAMPLE = 1 << 28
_LARGEST_ARCHIVE = 1 << 35
_NATURAL = re.compile(r"(\d+)")
_NAMED = re.compile(r"samples/(.+)_epoch_(\d{1,6})\.json")


def inspect_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the samples of an Inspect log, one at a time from a ``.eval`` archive.

    A sample that ended in an error, was declared invalid, or was answered by another model is yielded with
    that as its trouble.

    Raises
    ------
    ManifestError
        Not a log, damaged, larger than may be unpacked, or without samples.
    """
    found = False
    for name, task, sample in _archived(path) if zipfile.is_zipfile(path) else _listed(path):
        found = True
        yield _sample(sample, Place(str(path), key=name), task)
    if not found:
        remedy = "Was it logged with samples?"
        raise ManifestError("no samples in the log", place=Place(str(path)), remedy=remedy)


def _listed(path: Path) -> Iterator[tuple[str, str | None, object]]:
    if path.suffix == ".eval":
        raise _damaged(path, "it is no zip archive")
    log = mapping(json_log(path))
    task = _task(log)
    for index, sample in enumerate(listed(log.get("samples"))):
        yield f"samples[{index}]", task, sample


def _archived(path: Path) -> Iterator[tuple[str, str | None, object]]:
    try:
        with open_zip(path) as archive:
            names = set(archive.namelist())
            start = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
            task = (
                _task(mapping(parse_json(_member(archive, start, path), constants=True))) if start else None
            )
            samples = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
            left = _LARGEST_ARCHIVE
            # A retried sample is appended under its old name; the archive's index gives its last edition.
            for name in sorted(samples, key=_naturally):
                try:
                    data = _member(archive, name, path)
                    left -= len(data)
                    yield name, task, parse_json(data, constants=True)
                except broken_archive(zlib.error, ValueError, RecursionError) as error:
                    yield name, task, Unreadable(f"damaged: {first_line(error).rstrip('.')}")
                if left < 0:
                    raise _damaged(path, f"it unpacks to more than {_LARGEST_ARCHIVE >> 30} GiB")
    # RuntimeError: encrypted. NotImplementedError: a compression that no Python knows.
    except broken_archive(OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
        raise _damaged(path, first_line(error).rstrip(".")) from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    # The size in the index may lie: only what is read counts.
    with archive.open(name) as file:
        data: bytes = file.read(_LARGEST_SAMPLE + 1)
    if len(data) > _LARGEST_SAMPLE:
        raise _damaged(path, f"{shown(name)} unpacks to more than {_LARGEST_SAMPLE >> 20} MiB")
    return data


def _damaged(path: Path, reason: str) -> ManifestError:
    what = f"cannot read the Inspect log: {reason}"
    return ManifestError(what, place=Place(str(path)), remedy="Copy it again from where it was written")


def _naturally(name: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() and len(part) < 18 else (0, part) for part in _NATURAL.split(name)
    ]


def _task(log: Object) -> str | None:
    """Return the name of a log's task, that of its package left out."""
    name = text_or_none(mapping(log.get("eval")).get("task"))
    return name.rsplit("/", 1)[-1] if name else None


def _sample(value: object, place: Place, task: str | None) -> LoggedSample:
    if isinstance(value, Unreadable) and (named := _NAMED.fullmatch(place.key or "")):
        trouble = Trouble("unreadable", str(value))
        return LoggedSample(named[1], repeat=max(0, int(named[2]) - 1), task=task, trouble=trouble)
    sample = mapping(value)
    try:
        item_id = identifier(sample.get("id"), "id")
        epoch = sample.get("epoch", 1)
        if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
            raise Unreadable(f"epoch is no count: {shown(epoch)}")
    except Unreadable as error:
        # Nobody can say whose answer it was.
        what = f"not a sample of an Inspect log: {error}"
        raise ManifestError(what, place=place, remedy="Give a log that `inspect` wrote") from error
    try:
        return _read(sample, item_id, epoch - 1, task)
    except (ValueError, RecursionError) as error:
        trouble = Trouble("unreadable", f"not a sample of an Inspect log: {first_line(error)}")
        return LoggedSample(item_id, repeat=epoch - 1, task=task, trouble=trouble)


def _read(sample: Object, item_id: str, repeat: int, task: str | None) -> LoggedSample:
    attachments = {k: v for k, v in mapping(sample.get("attachments")).items() if isinstance(v, str)}
    keys = ("input", "choices", "target", "messages", "output")
    given = {key: _attached(sample.get(key), attachments) for key in keys}
    trouble = _trouble(sample)
    choices = listed(mapping(given["output"]).get("choices"))
    if not choices and trouble is None:
        trouble = Trouble("unanswered", "the log holds no answer")
    choice = mapping(choices[0]) if choices else {}
    message = mapping(choice.get("message"))
    if choices and "content" not in message:
        raise Unreadable("the answer has no message with content")
    stop = text_or_none(choice.get("stop_reason"))
    if trouble is None and stop == "content_filter":
        trouble = Trouble("content_filter", "the answer was filtered")
    limited = trouble is not None and trouble.kind == "limit"
    prompt, opening, asked, unaskable = _asked(given, message)
    return LoggedSample(
        item_id=item_id,
        text=joined_text(message.get("content")),
        prompt=prompt,
        opening=opening,
        asked=asked,
        target=as_json(given["target"]),
        repeat=repeat,
        finish_reason="length" if limited else _STOPS.get(stop or "", stop),
        parts=parts_of(_said(message)),
        task=task,
        trouble=trouble,
        unaskable=unaskable,
        columns={"input": as_json(given["input"]), "choices": as_json(given["choices"]), "task": task},
    )


def _attached(value: object, attachments: Mapping[str, str]) -> object:
    """Return a value with what stands under attachments put back in its place."""
    if not attachments:
        return value
    if isinstance(value, str):
        return (
            attachments.get(value.removeprefix(_ATTACHMENT), value)
            if value.startswith(_ATTACHMENT)
            else value
        )
    if isinstance(value, list):
        return [_attached(entry, attachments) for entry in value]
    if isinstance(value, dict):
        return {key: _attached(entry, attachments) for key, entry in value.items()}
    return value


def _trouble(sample: Object) -> Trouble | None:
    if error := sample.get("error"):
        return Trouble("error", shown(mapping(error).get("message") or error))
    if invalid := sample.get("invalidation"):
        return Trouble("invalidated", shown(mapping(invalid).get("reason") or "declared invalid"))
    others = [mapping(entry).get("fallback_model") for entry in listed(sample.get("model_fallbacks"))]
    if others:
        return Trouble("fallback", f"answered by {shown(others[0])}")
    if limit := sample.get("limit"):
        told = mapping(limit)
        return Trouble("limit", f"{shown(told.get('type') or limit)} limit {shown(told.get('limit'))}")
    return None


def _said(message: Object) -> dict[str, object]:
    """Return what an answer says beside its text, under the names of TAIS."""
    content = [mapping(part) for part in listed(message.get("content"))]
    of = {kind: [part for part in content if part.get("type") == kind] for kind in ("reasoning", "text")}
    reasoning = "".join(str(part.get("reasoning") or part.get("summary") or "") for part in of["reasoning"])
    refusal = "".join(str(part.get("text", "")) for part in of["text"] if part.get("refusal"))
    others = [part for part in content if part.get("type") not in ("text", "reasoning")]
    calls = [_call(mapping(call)) for call in listed(message.get("tool_calls"))]
    return {"tool_calls": calls, "refusal": refusal, "reasoning": reasoning, "content_parts": others}


def _call(call: Object) -> Object:
    """Return a call in the form of OpenAI's interface, which servers and other logs write."""
    others = {key: value for key, value in call.items() if key not in ("function", "arguments") and value}
    named = {"name": call.get("function"), "arguments": call.get("arguments")}
    return {"type": "function", **others, "function": named}


def _asked(
    given: Mapping[str, object], answer: Object
) -> tuple[str | tuple[Turn, ...] | None, int | None, Asked, str | None]:
    """Return the prompt, how much of it the task put there, its digests, and why it cannot be asked again.

    What was asked stands in the messages: options, system message and turns are in no other place.
    """
    messages = [mapping(entry) for entry in listed(given["messages"])]
    own = listed(given["input"]) or [{"role": "user", "content": given["input"]}]
    first = [mapping(entry) for entry in own]
    known = bool(messages)
    turns = _before_the_answer(messages, answer) if known else first
    made = [index for index, turn in enumerate(turns) if _made(turn, first)]
    opening = made[0] if made else None
    options = given["choices"] or None
    seen = [(str(turn.get("role")), _canonical(turn.get("content"))) for turn in turns[:opening]]
    asked = asked_of(seen, options, given["target"])
    unaskable = None if known or options is None else "the log does not say how its options were shown"
    unaskable = unaskable or _not_text(turns)
    if unaskable:
        return None, opening, asked, unaskable
    plain = tuple(Turn(str(turn.get("role")), joined_text(turn.get("content"))) for turn in turns)
    if len(plain) == 1 and plain[0].role == "user":
        return plain[0].content, opening, asked, None
    return plain, opening, asked, None


def _before_the_answer(messages: list[Object], answer: Object) -> list[Object]:
    """Return the messages before the last one of the model, which is the answer."""
    spoken = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
    if not spoken or not answer:
        return messages
    same = [i for i in spoken if messages[i].get("id") == answer.get("id") and answer.get("id")]
    # An example may be the last word of an assistant where the model's own is missing.
    if not same and messages[spoken[-1]].get("source") == "input":
        return messages
    return messages[: (same or spoken)[-1]]


def _made(turn: Object, first: list[Object]) -> bool:
    """Return whether a turn is the model's own, and none of the examples that the task put in."""
    if turn.get("role") == "tool":
        return True
    if turn.get("role") != "assistant" or turn.get("source") == "input":
        return False
    content = turn.get("content")
    return not any(entry.get("role") == "assistant" and entry.get("content") == content for entry in first)


def _canonical(content: object) -> object:
    """Return content without what tools number anew: a text, or its parts with pictures as digests."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [mapping(part) for part in listed(content)]
    if all(part.get("type") == "text" for part in parts):
        return joined_text(content)
    return [joined_text([part]) if part.get("type") == "text" else digest_of(part) for part in parts]


def _not_text(turns: list[Object]) -> str | None:
    for turn in turns:
        kinds = {str(mapping(part).get("type")) for part in listed(turn.get("content"))}
        if others := kinds - {"text", "reasoning"}:
            return f"content of type {', '.join(sorted(others))}"
        if turn.get("tool_calls"):
            return "turns that call a tool"
    return None
