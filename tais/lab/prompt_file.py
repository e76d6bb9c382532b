"""Prompts of a user's own, without a battery around them."""

from __future__ import annotations

from pathlib import Path

from tais.common.jsonlines import parse_json_line, utf8_lines
from tais.errors import Place, UsageError

__all__ = ["read_prompts"]


def read_prompts(path: Path) -> list[tuple[str, Place]]:
    """Read prompts: one a line, or objects with the key ``prompt`` where the name ends in .jsonl.

    Raises
    ------
    UsageError
        When the file is missing, not UTF-8 or holds no prompt, or a prompt is empty.
    ManifestError
        When a line is no JSON object.
    """
    if not path.exists() or path.is_dir():
        raise UsageError("no such file", place=Place(str(path)), remedy="Name a file with --prompts")
    found = []
    for number, line in utf8_lines(path):
        place = Place(str(path), number)
        text = _prompt(line, path, number) if path.suffix == ".jsonl" else line.rstrip("\r\n")
        if not text.strip():
            raise UsageError("the prompt is empty", place=place, remedy="Write a prompt, or delete the line")
        found.append((text, place))
    if not found:
        raise UsageError("no prompts in it", place=Place(str(path)), remedy="Write one prompt a line")
    return found


def _prompt(line: str, path: Path, number: int) -> str:
    text = parse_json_line(line, path, number).get("prompt")
    if not isinstance(text, str):
        what = "no text under the key 'prompt'"
        raise UsageError(what, place=Place(str(path), number), remedy='Write {"prompt": "..."}')
    return text
