"""Files of lm-evaluation-harness (``--log_samples``, every layout since 0.4.0) and of lmms-eval.

What changed from release to release, as their writers have it:

==================  ==================================================================================
lm-eval 0.4.0-0.4.2 one JSON list in ``<model_args>_<task>.jsonl``; ``arguments: [[prompt, settings]]``
lm-eval 0.4.3-0.4.5 ``samples_<task>_<time>.jsonl``; ``arguments: {gen_args_0: {arg_0: ...}}``; hashes
lm-eval from 0.4.7  rows say their ``filter``; before, a document simply stood once per filter
chat behind an API  ``arg_0`` is a list of one JSON text with the messages
lmms-eval to 0.3    ``<time>_samples_<task>.jsonl``; ``input`` is the prompt, ``arguments`` the settings
lmms-eval 0.4-0.6   no ``arguments`` and ``doc``; no ``resps`` where they equal ``filtered_resps``
lmms-eval from 0.7  the same, and ``resps`` flat where a document was asked once
==================  ==================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from tais.battery.logs.reading import (
    Object,
    Unreadable,
    as_json,
    chat_of,
    identifier,
    json_lines,
    listed,
    mapping,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import Asked, LoggedSample, Trouble, Turn, asked_of
from tais.common.packed import unpacked_name
from tais.errors import ManifestError, Place

__all__ = ["lm_eval_samples", "task_of"]

_TIME = r"\d{4}-?\d\d-?\d\d[T_]?[\d.:-]*"
_NAMES = (
    re.compile(rf"(?:{_TIME}_)?samples_(.+?)(?:_{_TIME})?"),
    # Up to 0.4.2: the arguments of the model, with _ for / and =, then the task.
    re.compile(r".*__[^_]*_(.+)"),
)
# A hash of zeros stands where one was taken out.
_HASH = re.compile(r"(?!0{64})[0-9a-f]{64}")
_DIGEST = 32


def task_of(path: Path) -> str:
    """Return the task of a file by its name; the name itself where it is of no known form."""
    stem = unpacked_name(path).name.removesuffix(".jsonl").removesuffix(".json")
    return next((found[1] for name in _NAMES if (found := name.fullmatch(stem))), stem)


def lm_eval_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the samples of one task's file.

    A task with several filters logs each document once per filter, with the same raw answers; those of
    the first filter are taken. Answers to one document beyond the first are repeats.

    Raises
    ------
    ManifestError
        Broken line, no document's id, or a log-likelihood task, which has no text to screen.
    """
    task, seen = task_of(path), dict[str, object]()
    first_filter: object = None
    for number, row in json_lines(path):
        if not seen:
            first_filter = row.get("filter")
        if row.get("filter") != first_filter:
            continue
        place = Place(str(path), number)
        item_id = _item_id(row, place)
        said = row.get("resps", row.get("filtered_resps"))
        if item_id in seen:
            if "filter" not in row and seen[item_id] == said:
                continue
            what = f"document {item_id} stands twice, with other answers"
            raise ManifestError(what, place=place, remedy="Give the file of one run")
        seen[item_id] = said
        yield from _samples(row, item_id, task, place)
    if not seen:
        raise ManifestError("no samples in the file", place=Place(str(path)), remedy="One object per line")


def _item_id(row: Object, place: Place) -> str:
    try:
        return identifier(row.get("doc_id"), "doc_id")
    except Unreadable as error:
        what = f"not a line of lm-evaluation-harness: {error}"
        raise ManifestError(what, place=place, remedy="Give a file of --log_samples") from error


def _samples(row: Object, item_id: str, task: str, place: Place) -> Iterator[LoggedSample]:
    try:
        answers = _answers(row, place)
        prompt, unaskable = _prompt(row)
    except (Unreadable, RecursionError) as error:
        trouble = Trouble("unreadable", f"not a line of lm-evaluation-harness: {error}")
        yield LoggedSample(item_id, task=task, line=place.line, trouble=trouble)
        return
    asked = _asked(row, prompt)
    for repeat, answer in enumerate(answers):
        yield LoggedSample(
            item_id=item_id,
            text=answer,
            prompt=None if unaskable else prompt,
            asked=asked,
            target=as_json(row.get("target")),
            repeat=repeat,
            line=place.line,
            task=task,
            unaskable=unaskable,
            columns={"doc": as_json(row.get("doc")), "task": task},
        )


def _answers(row: Object, place: Place) -> list[str]:
    """Return the raw answers: those of the one request of a document, however they are wrapped."""
    if "resps" not in row and "filtered_resps" not in row:
        raise Unreadable("no resps")
    said = row.get("resps", row.get("filtered_resps"))
    if isinstance(said, str) or said is None:
        said = [said]
    found = listed(said)
    # One list per request, of one answer per repeat. lmms-eval leaves the outer one out.
    if found and isinstance(found[0], list):
        found = _one_request(found, place)
    if not found:
        raise Unreadable("no answer in resps")
    for answer in found:
        if answer is not None and not isinstance(answer, str):
            raise _no_text(place)
    # A server that filtered an answer, or called a tool, gave none.
    return [answer if isinstance(answer, str) else "" for answer in found]


def _one_request(found: list[object], place: Place) -> list[object]:
    first = listed(found[0])
    # Log-likelihoods: pairs of a number and whether it is the greedy choice, one request per option.
    if len(found) > 1 or any(isinstance(answer, list) for answer in first):
        raise _no_text(place)
    return first


def _no_text(place: Place) -> ManifestError:
    what = "the task compares log-likelihoods and has no text to screen"
    return ManifestError(what, place=place, remedy="Use a task of type generate_until")


def _prompt(row: Object) -> tuple[str | tuple[Turn, ...] | None, str | None]:
    """Return what was asked, and why it cannot be asked again as text."""
    given = row.get("arguments")
    named = mapping(given)
    argument: object = row.get("input")
    if "gen_args_0" in named:
        argument = mapping(named["gen_args_0"]).get("arg_0")
    elif isinstance(given, list) and given:
        argument = given[0][0] if isinstance(given[0], list) and given[0] else given[0]
    if isinstance(argument, list) and len(argument) == 1:
        # A chat behind an API is one JSON text in a list.
        argument = argument[0]
    if argument is None:
        return None, "the log does not tell the prompt"
    if not isinstance(argument, str):
        raise Unreadable(f"the prompt is no text: {shown(argument)}")
    unaskable = "it asks with a picture or a sound" if row.get("input_media") else None
    return chat_of(argument) or argument, unaskable


def _asked(row: Object, prompt: str | tuple[Turn, ...] | None) -> Asked:
    target: JsonValue = as_json(row.get("target"))
    # Newer releases write every target as text.
    told = asked_of(prompt, None, None if target is None else str(target))
    if told.prompt is None and (known := _hash(row.get("prompt_hash"))):
        told = told._replace(prompt=known)
    if row.get("input_media") and (known := _hash(row.get("doc_hash"))):
        # The pictures stand in the document, which is not logged.
        told = told._replace(options=known)
    return told


def _hash(value: object) -> str | None:
    found = text_or_none(value)
    return found[:_DIGEST] if found and _HASH.fullmatch(found) else None
