"""Results of HarmBench and of JailbreakBench: answers to harmful behaviours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tais.battery.logs.reading import (
    Object,
    as_json,
    identifier,
    json_log,
    listed,
    mapping,
    shown,
    text_or_none,
)
from tais.battery.logs.sample import LoggedSample, Trouble, asked_of
from tais.errors import ManifestError, Place

__all__ = ["harmbench_samples", "jailbreakbench_samples"]


def harmbench_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the generations of HarmBench: ``{behavior id: [{test_case, generation, label}, ...]}``.

    Of several test cases of one behaviour, those after the first are items ``id/1``, ``id/2``, ...
    """
    for behavior, cases in mapping(json_log(path)).items():
        if not listed(cases):
            yield _sample(behavior, None, None, "no test case was logged", {"behavior": behavior})
        for index, entry in enumerate(listed(cases)):
            case = mapping(entry)
            prompt = text_or_none(case.get("test_case"))
            # A test case with a picture is a list of its file and the text.
            unaskable = None if prompt is not None else "its test case is no text"
            name = f"{behavior}/{index}" if index else behavior
            yield _sample(name, case.get("generation"), prompt, unaskable, {"behavior": behavior})


def jailbreakbench_samples(path: Path, only: Mapping[str, str] = {}) -> Iterator[LoggedSample]:
    """Yield the responses of JailbreakBench: an attack artifact, or ``evaluation.json`` of one model.

    Raises
    ------
    ManifestError
        An evaluation of several models and no ``only: {model: ...}``.
    """
    found = mapping(json_log(path))
    if "jailbreaks" in found:
        for index, entry in enumerate(listed(found["jailbreaks"])):
            yield _jailbreak(mapping(entry), identifier(mapping(entry).get("index", index), "index"))
        return
    models = {name: entry for name, entry in found.items() if name != "details" and isinstance(entry, dict)}
    wanted = only.get("model")
    if wanted is None and len(models) == 1:
        wanted = next(iter(models))
    if wanted not in models:
        what = f"the file holds these models: {', '.join(map(shown, sorted(models)))}"
        raise ManifestError(what, place=Place(str(path)), remedy="Say which: only: {model: ...}")
    for behavior, entry in mapping(models[wanted]).items():
        yield _jailbreak(mapping(entry), behavior)


def _jailbreak(entry: Object, name: str) -> LoggedSample:
    prompt = text_or_none(entry.get("prompt"))
    columns = {key: as_json(entry.get(key)) for key in ("goal", "behavior", "category")}
    # An attack that found no prompt for a behaviour submits none.
    return _sample(
        name, entry.get("response"), prompt, None if prompt else "no prompt was submitted", columns
    )


def _sample(
    name: str, answer: object, prompt: str | None, unaskable: str | None, columns: Mapping[str, object]
) -> LoggedSample:
    trouble = None if isinstance(answer, str) else Trouble("unanswered", "no response was logged")
    return LoggedSample(
        name,
        text=answer if isinstance(answer, str) else "",
        prompt=prompt,
        asked=asked_of(prompt, None, None),
        trouble=trouble,
        unaskable=unaskable,
        columns={key: as_json(value) for key, value in columns.items()},
    )
