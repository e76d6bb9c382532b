"""Logs of other tools: Inspect (``.eval``, ``.json``) and lm-evaluation-harness (``--log_samples``).

Each log gives outputs, for an arm of ``engine: import``, and rows (`id`, `prompt`, `target`), for a
battery whose source has ``format: inspect`` or ``format: lm_eval``.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tais.common.jsonlines import parse_json_line, utf8_lines
from tais.common.parts import render_parts
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["LoggedSample", "inspect_samples", "lm_eval_samples", "sniff"]

_LONGEST_LINE = 1 << 24
# Inspect and vLLM name the same ends differently.
_STOPS = {"max_tokens": "length", "model_length": "length", "stop": "stop"}


@dataclass(frozen=True, slots=True)
class LoggedSample:
    """One answer in a log, with what was asked."""

    item_id: str
    prompt: str | list[dict[str, str]]
    target: Any
    text: str
    repeat: int
    finish_reason: str | None
    line: int | None
    parts: str | None = None
    """What was said outside the text; see :func:`tais.common.parts.render_parts`."""


def sniff(path: Path) -> str | None:
    """Return ``inspect`` or ``lm_eval`` for a file that looks like such a log, else None."""
    try:
        if path.suffix == ".eval" or (path.suffix == ".json" and zipfile.is_zipfile(path)):
            return "inspect"
        with path.open("rb") as file:
            first = file.readline(_LONGEST_LINE)
            head = first + file.read(1 << 16)
    except OSError:
        return None
    if path.suffix == ".json":
        return "inspect" if b'"samples"' in head or b'"eval"' in head else None
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return None
    return "lm_eval" if isinstance(row, dict) and {"doc_id", "resps"} <= set(row) else None


def inspect_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the samples of an Inspect log, one at a time from a ``.eval`` archive.

    Raises
    ------
    ManifestError
        Not a log, a compression that this Python cannot read, or a sample that failed.
    """
    found = False
    for name, sample in _inspect_objects(path):
        found = True
        yield _inspect_sample(sample, Place(str(path), key=name))
    if not found:
        raise ManifestError(
            "no samples in the log", place=Place(str(path)), remedy="Was it logged with samples?"
        )


def _inspect_objects(path: Path) -> Iterator[tuple[str, Any]]:
    remedy = "Write it again with `inspect log convert --to json`"
    try:
        if path.suffix == ".json":
            log = json.loads(path.read_bytes())
            for index, sample in enumerate(log.get("samples") or () if isinstance(log, dict) else ()):
                yield f"samples[{index}]", sample
            return
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json")]
            # A retried sample is appended under its old name; the archive's index gives its last edition.
            for name in sorted(set(names)):
                yield name, json.loads(archive.read(name))
    # NotImplementedError: newer Inspect can compress with zstd, which zipfile reads from Python 3.14 on.
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        reason = first_line(error).rstrip(".")
        what = f"cannot read the Inspect log: {reason}"
        raise ManifestError(what, place=Place(str(path)), remedy=remedy) from error


def _inspect_sample(sample: Any, place: Place) -> LoggedSample:
    try:
        if sample.get("error"):
            remedy = "Retry the evaluation before comparing it"
            raise ManifestError("the sample ended in an error", place=place, remedy=remedy)
        choices = sample["output"]["choices"]
        choice: dict[str, Any] = choices[0] if choices else {"message": {"content": ""}}
        message = choice["message"]
        reasoning = [p.get("reasoning") for p in _listed(message["content"]) if p["type"] == "reasoning"]
        said = {"tool_calls": message.get("tool_calls"), "reasoning": "".join(filter(None, reasoning))}
        return LoggedSample(
            item_id=str(sample["id"]),
            prompt=_inspect_prompt(sample["input"]),
            target=sample.get("target"),
            text=_content(message["content"]),
            # Epochs count from 1.
            repeat=int(sample.get("epoch", 1)) - 1,
            finish_reason=_STOPS.get(choice.get("stop_reason", ""), choice.get("stop_reason")),
            line=None,
            parts=render_parts(said),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"not a sample of an Inspect log: {type(error).__name__} {error}"
        raise ManifestError(what, place=place, remedy="Give a log that `inspect` wrote") from error


def _inspect_prompt(given: Any) -> str | list[dict[str, str]]:
    if isinstance(given, str):
        return given
    turns = [{"role": str(turn["role"]), "content": _content(turn["content"])} for turn in given]
    if len(turns) == 1 and turns[0]["role"] == "user":
        return turns[0]["content"]
    return turns


def _listed(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else []


def _content(content: Any) -> str:
    # A model that calls a tool, or a filter, leaves it empty.
    if content is None or isinstance(content, str):
        return content or ""
    # Reasoning stands beside the text; images and audio cannot be asked again as text.
    others = {part["type"] for part in content} - {"text", "reasoning"}
    if others:
        raise ValueError(f"content of type {', '.join(sorted(others))}")
    return "".join(part["text"] for part in content if part["type"] == "text")


def lm_eval_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the samples of a ``samples_<task>_<time>.jsonl`` file.

    A task with several filters logs each document once per filter, with the same raw answers; those of
    the first filter are taken. Answers to one document beyond the first are repeats.

    Raises
    ------
    ManifestError
        Broken line, not such a file, or a log-likelihood task, which has no text to screen.
    """
    first_filter: Any = None
    found = False
    for number, line in utf8_lines(path):
        row, place = parse_json_line(line, path, number), Place(str(path), number)
        if not found:
            first_filter, found = row.get("filter"), True
        if row.get("filter") == first_filter:
            yield from _lm_eval_sample(row, place)
    if not found:
        raise ManifestError("no samples in the file", place=Place(str(path)), remedy="One object per line")


def _lm_eval_sample(row: dict[str, Any], place: Place) -> Iterator[LoggedSample]:
    try:
        item_id, prompt, answers = str(row["doc_id"]), _lm_eval_prompt(row["arguments"]), row["resps"][0]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        what = f"not a line of lm-evaluation-harness: {type(error).__name__} {error}"
        raise ManifestError(what, place=place, remedy="Give a file of --log_samples") from error
    for repeat, answer in enumerate(answers):
        # A server that filtered an answer, or called a tool, gave none.
        text = "" if answer is None else answer
        if not isinstance(text, str):
            what = "the task compares log-likelihoods and has no text to screen"
            raise ManifestError(what, place=place, remedy="Use a task of type generate_until")
        yield LoggedSample(item_id, prompt, row.get("target"), text, repeat, None, place.line)


def _lm_eval_prompt(arguments: Any) -> str | list[dict[str, str]]:
    # {"gen_args_0": {"arg_0": prompt, "arg_1": settings}}; in older versions [[prompt, settings]].
    prompt = arguments["gen_args_0"]["arg_0"] if isinstance(arguments, dict) else arguments[0][0]
    if not isinstance(prompt, str):
        raise TypeError("the prompt is no text")
    return _chat_turns(prompt) or prompt


def _chat_turns(prompt: str) -> list[dict[str, str]] | None:
    # Chat models behind an API are asked with the messages as JSON text.
    if not prompt.startswith('[{"role"'):
        return None
    try:
        turns = json.loads(prompt)
        return [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    except (ValueError, KeyError, TypeError):
        return None
