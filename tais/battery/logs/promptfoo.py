"""Results of promptfoo: ``promptfoo eval -o results.json`` or ``.jsonl``.

``results.results`` (of the oldest files ``results``) lists one entry per test, prompt and provider; a file of
lines holds the same entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.battery.logs.promptfoo_output import read_output
from tais.battery.logs.reading import (
    Object,
    as_json,
    chat_of,
    json_lines,
    json_log,
    listed,
    mapping,
    parts_of,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import LoggedSample, Trouble, Turn, asked_of
from tais.common.packed import unpacked_name
from tais.errors import ManifestError, Place

__all__ = ["promptfoo_samples"]

_SELECTORS = ("provider", "prompt")


def promptfoo_samples(path: Path, only: Mapping[str, str] = {}) -> Iterator[LoggedSample]:
    """Yield the answers of one provider to one prompt template; equal questions are repeats.

    Parameters
    ----------
    path
        The file.
    only
        `provider` (id or label) and `prompt` (label) to take, where the file has several.

    Raises
    ------
    ManifestError
        Several providers or prompts and no word on which, or no result.
    """
    rows = [(line, row) for line, row in _rows(path) if _is_taken(row, only)]
    if not rows:
        what = f"no result of {' and '.join(f'{k} {v!r}' for k, v in only.items()) or 'any provider'}"
        raise ManifestError(what, place=Place(str(path)), remedy="Look at the names in the file")
    for key in _SELECTORS:
        names = sorted({_name(row, key) for _, row in rows})
        if len(names) > 1:
            what = f"the file holds several {key}s: {', '.join(map(shown, names))}"
            raise ManifestError(what, place=Place(str(path)), remedy=f"Say which: only: {{{key}: ...}}")
    # A repeat is a test of its own with the same variables.
    first: dict[str, str] = {}
    count: dict[str, int] = {}
    for line, row in rows:
        question = json.dumps([row.get("vars"), mapping(row.get("prompt")).get("raw")], sort_keys=True)
        item_id = first.setdefault(question, shown(row.get("testIdx", len(first))))
        count[item_id] = count.get(item_id, -1) + 1
        yield _sample(row, item_id, count[item_id], line)


def _rows(path: Path) -> Iterator[tuple[int | None, Object]]:
    if unpacked_name(path).suffix.lower() in (".jsonl", ".ndjson"):
        yield from json_lines(path)
        return
    results = mapping(json_log(path)).get("results")
    entries = results if isinstance(results, list) else mapping(results).get("results")
    for entry in listed(entries):
        yield None, mapping(entry)


def _names(row: Object, key: str) -> list[str]:
    told = row.get(key)
    found = mapping(told) if not isinstance(told, str) else {"id": told}
    keys = ("label", "id") if key == "provider" else ("label", "raw")
    return [str(found[name]) for name in keys if found.get(name)]


def _name(row: Object, key: str) -> str:
    # The raw text of a prompt has its variables filled in; a label is of the template.
    labels = _names(row, key)
    return labels[0] if labels and (key == "provider" or mapping(row.get(key)).get("label")) else ""


def _is_taken(row: Object, only: Mapping[str, str]) -> bool:
    return all(value in _names(row, key) for key, value in only.items())


def _sample(row: Object, item_id: str, repeat: int, line: int | None) -> LoggedSample:
    response = mapping(row.get("response"))
    output = response.get("output")
    # An assertion that fails stands under error, too: only without an answer is it the provider's.
    error = response.get("error") or (row.get("error") if output is None else None)
    trouble = Trouble("error", shown(error)) if error else None
    if trouble is None and output is None:
        trouble = Trouble("unanswered", "the result holds no output")
    refused = output if response.get("isRefusal") is True and isinstance(output, str) else None
    read = read_output(output, response)
    if trouble is None and read.trouble is not None:
        trouble = Trouble("unreadable", read.trouble)
    raw = text_or_none(mapping(row.get("prompt")).get("raw"))
    turns = chat_of(raw) if raw is not None else None
    prompt: str | tuple[Turn, ...] | None = raw if turns is None else turns
    reason = text_or_none(response.get("finishReason"))
    return LoggedSample(
        item_id,
        text=read.text,
        prompt=prompt,
        asked=asked_of(prompt, None, None),
        repeat=repeat,
        finish_reason=reason,
        line=line,
        parts=parts_of({**read.said, "refusal": refused}),
        trouble=trouble,
        unaskable=None if prompt else "the result does not tell the prompt",
        columns={key: as_json(value) for key, value in mapping(row.get("vars")).items()},
    )
