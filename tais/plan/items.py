"""items.parquet, written from loaded batteries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tais.manifest.model import Sampling
from tais.records import Message, Request
from tais.rundir.items import StoredItem, requests_for, write_rows

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["requests_of", "write_items"]


def _items(battery: LoadedBattery) -> Iterator[StoredItem]:
    chat = battery.definition.chat is not False
    for item in battery.items:
        messages = tuple(Message(message.role, message.content) for message in item.messages)
        asked = chat and not item.rendered
        yield StoredItem(
            battery.name, item.id, item.cluster, messages, item.expect, asked, item.group, item.sampling
        )


def requests_of(battery: LoadedBattery, sampling: Sampling, system_prompt: str | None) -> list[Request]:
    """Return the requests of one battery, each item once."""
    return list(requests_for(_items(battery), sampling.model_copy(update={"n": 1}), system_prompt))


def write_items(path: Path, batteries: tuple[LoadedBattery, ...]) -> None:
    """Write the items of all batteries, in the order in which they are asked."""
    own = any(item.sampling for battery in batteries for item in battery.items)
    write_rows(path, (_items(battery) for battery in batteries), own_sampling=own)
