"""``scenario_state.json`` of HELM: all requests of one run, with what came back."""

from __future__ import annotations

from collections.abc import Iterator
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
from tais.battery.logs.sample import LoggedSample, Trouble, Turn, asked_of, digest_of
from tais.common.text import first_line
from tais.errors import ManifestError, Place

__all__ = ["helm_samples"]

_ENDS = {"endoftext": "stop", "stop": "stop", "eos": "stop", "max_tokens": "length", "length": "length"}


def helm_samples(path: Path) -> Iterator[LoggedSample]:
    """Yield the answers of one scenario; several completions of a request are repeats.

    An item is an instance, with the perturbation and the train trial that made another prompt of it.

    Raises
    ------
    ManifestError
        No request states, or a method that scores each option and has no answer to screen.
    """
    state = mapping(json_log(path))
    task = text_or_none(mapping(state.get("scenario_spec")).get("name")) or path.parent.name
    states = listed(state.get("request_states"))
    if not states:
        raise ManifestError(
            "no request states in the file", place=Place(str(path)), remedy="Give scenario_state.json"
        )
    for index, entry in enumerate(states):
        place = Place(str(path), key=f"request_states[{index}]")
        request = mapping(entry)
        if request.get("reference_index") is not None:
            what = "the run scores each option by itself and has no answer to screen"
            raise ManifestError(
                what, place=place, remedy="Use the method multiple_choice_joint or generation"
            )
        try:
            item_id = _item_id(request)
        except Unreadable as error:
            raise ManifestError(
                f"not a request state of HELM: {error}", place=place, remedy="Mend the file"
            ) from error
        try:
            yield from _samples(request, item_id, task)
        except ValueError as error:
            yield LoggedSample(item_id, task=task, trouble=Trouble("unreadable", first_line(error)))


def _item_id(state: Object) -> str:
    instance = mapping(state.get("instance"))
    name = identifier(instance.get("id"), "instance.id")
    changed = mapping(instance.get("perturbation"))
    trial = state.get("train_trial_index") or 0
    return name + (f"/{digest_of(changed)[:8]}" if changed else "") + (f"/trial-{trial}" if trial else "")


def _samples(state: Object, item_id: str, task: str) -> Iterator[LoggedSample]:
    request, result = mapping(state.get("request")), mapping(state.get("result"))
    instance = mapping(state.get("instance"))
    prompt, unaskable = _prompt(request)
    target = _target(instance, mapping(state.get("output_mapping")))
    options = state.get("output_mapping") or None
    completions = listed(result.get("completions"))
    trouble = None
    if not result.get("success", False):
        trouble = Trouble("error", shown(result.get("error") or "the request failed"))
    elif not completions:
        trouble = Trouble("unanswered", "the result holds no completion")
    for repeat, entry in enumerate(completions or [{}]):
        completion = mapping(entry)
        ended = completion.get("finish_reason")
        reason = text_or_none(mapping(ended).get("reason")) or text_or_none(ended)
        thought = mapping(completion.get("thinking")).get("text")
        media = completion.get("multimodal_content")
        yield LoggedSample(
            item_id,
            text=joined_text(completion.get("text")),
            prompt=prompt,
            asked=asked_of(prompt, options, target),
            target=as_json(target),
            repeat=repeat,
            finish_reason=_ENDS.get(reason or "", reason),
            parts=parts_of({"reasoning": thought, "content_parts": [media] if media else []}),
            task=task,
            trouble=trouble,
            unaskable=unaskable,
            columns={"input": as_json(mapping(instance.get("input")).get("text")), "task": task},
        )


def _prompt(request: Object) -> tuple[str | tuple[Turn, ...] | None, str | None]:
    if request.get("multimodal_prompt"):
        return None, "it asks with a picture or a sound"
    turns = [mapping(turn) for turn in listed(request.get("messages"))]
    if turns:
        return tuple(Turn(str(turn.get("role")), joined_text(turn.get("content"))) for turn in turns), None
    prompt = text_or_none(request.get("prompt"))
    return prompt, None if prompt else "the request has no prompt"


def _target(instance: Object, letters: Object) -> object:
    """Return the right answer: its letter where options were lettered."""
    right = [
        mapping(reference.get("output")).get("text")
        for reference in map(mapping, listed(instance.get("references")))
        if "correct" in listed(reference.get("tags"))
    ]
    named = [letter for letter, text in letters.items() if text in right]
    found = named or right
    return found[0] if len(found) == 1 else found or None
