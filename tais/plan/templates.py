"""Chat templates tried on the batteries before any engine starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tais.engines.chat_template import (
    FoundTemplate,
    TemplateRefusal,
    find_template,
    read_variables,
    try_template,
    unread_kwargs,
)
from tais.errors import ManifestError, Place
from tais.manifest.model import Arm, Manifest
from tais.records import Message

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["check_templates", "template_notes"]

# As alike as `enable_thinkin` and `enable_thinking`, not as `thinking` and `enable_thinking`.
_NEAR = 0.85


def check_templates(
    manifest: Manifest, batteries: Sequence[LoadedBattery], file: Path
) -> tuple[LoadedBattery, ...]:
    """Return the batteries, with a note where an arm has no chat template.

    Raises
    ------
    ManifestError
        When a template refuses a conversation, or a battery says ``chat: true`` of a model without one.
    """
    found = {name: find_template(arm) for name, arm in manifest.arms.items() if _renders(arm)}
    for name, template in found.items():
        _check_kwargs(manifest.arms[name], template, file)
    noted = []
    for battery in batteries:
        bare = [name for name, template in found.items() if template.kind == "none"]
        if battery.definition.chat is not False:
            for name, template in found.items():
                _try(manifest.arms[name], template, battery, file)
        if bare and battery.definition.chat is True:
            what = f"battery {battery.name!r} says chat: true, and the model has no chat template"
            remedy = "Give the arm a chat_template, or leave chat out to send the bare text"
            raise ManifestError(what, place=Place(str(file), key=f"arms.{bare[0]}"), remedy=remedy)
        if bare and battery.definition.chat is None:
            note = f"no chat template ({', '.join(bare)}): prompts go to the model as bare text"
            battery = replace(battery, notes=(*battery.notes, note))
        noted.append(battery)
    return tuple(noted)


def _check_kwargs(arm: Arm, template: FoundTemplate, file: Path) -> None:
    """Raise ManifestError for a slip of the pen: a variable that is not read, and looks like one that is."""
    read = read_variables(template) or set()
    for name in unread_kwargs(template, arm.chat_template_kwargs or {}):
        near = difflib.get_close_matches(name, sorted(read), n=1, cutoff=_NEAR)
        if near:
            place = Place(str(file), key=f"arms.{arm.name}.chat_template_kwargs.{name}")
            what, remedy = f"the chat template reads no {name!r}", f"Did you mean {near[0]!r}?"
            raise ManifestError(what, place=place, remedy=remedy)


def template_notes(manifest: Manifest) -> Iterator[str]:
    """Yield which ``chat_template_kwargs`` no template reads, so that they change nothing."""
    for name, arm in manifest.arms.items():
        unread = unread_kwargs(find_template(arm), arm.chat_template_kwargs or {})
        if unread:
            yield f"{name}: the chat template reads no {', '.join(unread)} (chat_template_kwargs)"


def _renders(arm: Arm) -> bool:
    return arm.engine not in ("import", "fake")


def _try(arm: Arm, template: FoundTemplate, battery: LoadedBattery, file: Path) -> None:
    """Try one conversation of each order of roles: what a template refuses, it refuses by these."""
    before = (Message("system", arm.system_prompt),) if arm.system_prompt else ()
    tried: dict[tuple[str, ...], str] = {}
    for item in battery.items:
        messages = (*before, *item.messages)
        roles = tuple(message.role for message in messages)
        if tried.setdefault(roles, item.id) != item.id:
            continue
        try:
            try_template(template, arm, messages)
        except TemplateRefusal as error:
            raise ManifestError(
                f"the chat template refuses item {item.id!r} of battery {battery.name!r} "
                f"(roles {', '.join(roles)}): {str(error)[:200]}",
                place=Place(str(file), key=f"arms.{arm.name}"),
                remedy=_remedy(arm, battery, roles),
            ) from error


def _remedy(arm: Arm, battery: LoadedBattery, roles: Sequence[str]) -> str:
    if "system" not in roles:
        return "Give the arm a chat_template that takes these turns, or filter them out"
    where = "system_prompt of the arm" if arm.system_prompt else "system turns of the battery"
    return f"Take out the {where}, or give the arm a chat_template that takes them"
