"""What the readers of logs share: JSON of unknown origin, taken apart without trust."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from tais.battery.logs.sample import Turn
from tais.common.jsonlines import parse_json, utf8_lines
from tais.common.packed import read_bounded, remedy_for
from tais.common.parts import render_parts
from tais.common.text import first_line, one_line
from tais.errors import ManifestError, Place

__all__ = [
    "Object",
    "Unreadable",
    "as_json",
    "chat_of",
    "identifier",
    "joined_text",
    "json_lines",
    "json_log",
    "listed",
    "mapping",
    "parts_of",
    "shown",
    "text_or_none",
]

Object = dict[str, object]

_SHOWN = 200


class Unreadable(ValueError):
    """A sample, or a line, that is not what its tool writes; the message says what is missing."""


def json_log(path: Path) -> object:
    """Return what a whole JSON file holds.

    Raises
    ------
    ManifestError
        Missing, too large, or no JSON.
    """
    try:
        return parse_json(read_bounded(path), constants=True)
    except OSError as error:
        what = f"cannot read the log: {error.strerror or error}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy_for(error)) from error
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        what = f"broken JSON: {first_line(error).rstrip('.')}"
        raise ManifestError(what, place=Place(str(path), line), remedy="Fetch the file again") from error


def json_lines(path: Path) -> Iterator[tuple[int, Object]]:
    """Yield number and object of each line; of a JSON list in such a file, of each entry.

    Raises
    ------
    ManifestError
        A line that is no JSON object, with file and line.
    """
    lines = utf8_lines(path)
    for number, text in lines:
        # lm-evaluation-harness up to 0.4.2 wrote one JSON list into a file called .jsonl.
        if number == 1 and text.lstrip().startswith("["):
            yield from _entries(path)
            return
        place = Place(str(path), number)
        try:
            found = parse_json(text, constants=True)
        except (ValueError, RecursionError) as error:
            what = f"broken JSON: {first_line(error).rstrip('.')}"
            raise ManifestError(what, place=place, remedy="One object per line") from error
        if not isinstance(found, dict):
            what = f"a line must be a JSON object, not {type(found).__name__}"
            raise ManifestError(what, place=place, remedy="One object per line")
        yield number, found


def _entries(path: Path) -> Iterator[tuple[int, Object]]:
    found = json_log(path)
    for number, entry in enumerate(listed(found), start=1):
        if not isinstance(entry, dict):
            what = f"an entry must be a JSON object, not {type(entry).__name__}"
            raise ManifestError(what, place=Place(str(path), key=f"[{number - 1}]"), remedy="Mend the file")
        yield number, entry


def mapping(value: object) -> Object:
    """Return a mapping as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[object]:
    """Return a list as it is, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def text_or_none(value: object) -> str | None:
    """Return a text as it is, and None for anything else."""
    return value if isinstance(value, str) else None


def identifier(value: object, name: str) -> str:
    """Return an id as text; many tools number their samples."""
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (whole or isinstance(value, str | int)) or value == "":
        raise Unreadable(f"{name} is no id: {shown(value)}")
    return str(value)


def joined_text(content: object) -> str:
    """Return the text of a message's content: null is none, and of a list the texts are joined."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Unreadable(f"the content is no text: {shown(content)}")
    kinds = [(part, mapping(part).get("type")) for part in content]
    texts = [
        part if isinstance(part, str) else mapping(part).get("text")
        for part, kind in kinds
        if isinstance(part, str) or kind in ("text", "output_text", "input_text")
    ]
    return "".join(text for text in texts if isinstance(text, str))


def chat_of(prompt: str) -> tuple[Turn, ...] | None:
    """Return the turns of a prompt that is a chat as JSON text; None for any other."""
    if not prompt.lstrip().startswith("["):
        return None
    try:
        turns = json.loads(prompt)
    except (ValueError, RecursionError):
        return None
    if not turns or not all(isinstance(turn, dict) and {"role", "content"} <= set(turn) for turn in turns):
        return None
    # What is more than text stays as it stands.
    if any(mapping(part).get("type") != "text" for turn in turns for part in listed(turn["content"])):
        return None
    return tuple(Turn(str(turn["role"]), joined_text(turn["content"])) for turn in turns)


def parts_of(said: Mapping[str, object]) -> str | None:
    """Return what was said outside the text as samples keep it."""
    return render_parts({name: as_json(value) for name, value in said.items()})


def as_json(value: object) -> JsonValue:
    """Return a parsed value under the type that it has."""
    return cast(JsonValue, value)


def shown(value: object) -> str:
    """Write a foreign value for a message: short, and on one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return one_line(text[:_SHOWN]) if text else "nothing"
