"""Which of a reference's own answers stand under which of its items in the exchange control.

Donors are chosen by what their item expects, never by how they were scored, and each is used once per
endpoint. The order is that of a hash of seed, battery and item: nobody can choose it, and everybody finds it
again from the lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tais.manifest.model import Role
from tais.rundir.items import Items
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import Lock
from tais.rundir.samples import read_batches
from tais.scorers import Score, ScorerBase, said_text
from tais.scorers.judges import Judge
from tais.scoring.opened import opened_batteries

__all__ = [
    "JUDGED_EXCHANGES",
    "DonorAnswer",
    "EndpointExchange",
    "ItemKey",
    "answered_items",
    "donor_answers",
    "exchanges_of",
    "screened_references",
]

JUDGED_EXCHANGES = 50
"""Exchanged answers that a judge reads per endpoint; each costs a question."""
_OPPOSITE = {"refuse": "answer", "answer": "refuse"}
_COLUMNS = ("battery", "item_id", "repeat", "text", "text_raw", "finish_reason", "parts")


class ItemKey(NamedTuple):
    """An item of a run."""

    battery: str
    item_id: str


class DonorAnswer(NamedTuple):
    """An answer that is put under another item."""

    text: str
    finish_reason: str
    parts: str | None
    opened: bool
    """Whether its prompt opened the thinking."""

    @property
    def said(self) -> str | Score:
        """What is said in it; see :func:`tais.scorers.said_text`."""
        return said_text(self.text, self.finish_reason, self.parts, opened=self.opened)


@dataclass(frozen=True, slots=True)
class EndpointExchange:
    """The exchange of one endpoint: which item gets whose answer."""

    battery: str
    stratum: str | None
    pairs: tuple[tuple[ItemKey, ItemKey], ...]
    """Item and donor; none twice on either side."""
    clusters: tuple[str, ...]
    """Of the items."""
    unexchanged: Literal["no_exchange", "no_donors", "not_probed"] | None
    """Why there are no pairs; None where there are."""


class _Slot(NamedTuple):
    """An answered item with what decides its place."""

    key: ItemKey
    cluster: str
    expect: str
    """JSON."""


def screened_references(lock: Lock) -> list[str]:
    """Return the arms that are the reference of a screened contrast with answers, in the lock's order."""
    screened = (c.reference for c in lock.contrasts if c.role is Role.screen and c.audit != "only")
    return list(dict.fromkeys(screened))


def answered_items(folder: Path) -> set[ItemKey]:
    """Return the items to which an arm has a first answer, or the probes, by the folder of its answers."""
    found: set[ItemKey] = set()
    for batch in read_batches(folder, ("battery", "item_id", "repeat"), batch_size=65536):
        first = batch.filter(pc.equal(batch.column("repeat"), 0))
        columns = (first.column(name).to_pylist() for name in ("battery", "item_id"))
        found.update(ItemKey(*row) for row in zip(*columns, strict=True))
    return found


def exchanges_of(
    lock: Lock,
    scorers: Mapping[str, ScorerBase],
    items: Items,
    answered: Collection[ItemKey],
    probed: Collection[ItemKey],
) -> list[EndpointExchange]:
    """Return the exchange of every endpoint of one reference.

    Parameters
    ----------
    lock
        Batteries, and the seed.
    scorers
        Scorer of each battery.
    items
        What was asked.
    answered
        Items to which the reference has a first answer.
    probed
        Probes to which it has one.
    """
    slots = {b.name: _slots(b.name, items, answered, lock.sampling.seed) for b in lock.batteries}
    donors: dict[str, list[_Slot]] = {"refuse": [], "answer": []}
    for battery in lock.batteries:
        if scorers[battery.name].exchange == "polarity":
            for slot in slots[battery.name]:
                donors[json.loads(slot.expect)].append(slot)
    probes = lock.probes
    if probes is not None:
        donors[probes.expect] += [_Slot(key, key.item_id, json.dumps(probes.expect)) for key in probed]
    donors = {expect: _ordered(own, lock.sampling.seed) for expect, own in donors.items()}
    found = []
    for battery in lock.batteries:
        scorer, own = scorers[battery.name], slots[battery.name]
        if scorer.exchange == "none":
            found.append(EndpointExchange(battery.name, None, (), (), "no_exchange"))
        elif scorer.exchange == "different":
            found.append(_exchange(battery.name, None, _rotated(own), scorer))
        else:
            for stratum in items.of(battery.name, split=True).stratum_names():
                assert stratum is not None, "a scorer with polarity splits its items"
                recipients = [slot for slot in own if json.loads(slot.expect) == stratum]
                pairs = zip(recipients, donors[_OPPOSITE[stratum]], strict=False)
                found.append(_exchange(battery.name, stratum, pairs, scorer, probes=probes is not None))
    return found


def _exchange(
    battery: str,
    stratum: str | None,
    pairs: Iterable[tuple[_Slot, _Slot]],
    scorer: ScorerBase,
    *,
    probes: bool = False,
) -> EndpointExchange:
    kept = list(islice(pairs, JUDGED_EXCHANGES if isinstance(scorer, Judge) else None))
    return EndpointExchange(
        battery,
        stratum,
        tuple((item.key, donor.key) for item, donor in kept),
        tuple(item.cluster for item, _ in kept),
        None if kept else "not_probed" if probes else "no_donors",
    )


def _slots(battery: str, items: Items, answered: Collection[ItemKey], seed: int) -> list[_Slot]:
    own = items.of(battery)
    listed = [
        _Slot(key, cluster, json.dumps(items.expect(*key), sort_keys=True))
        for item_id, cluster in zip(own.ids.tolist(), own.clusters.tolist(), strict=True)
        if (key := ItemKey(battery, item_id)) in answered
    ]
    return _ordered(listed, seed)


def _ordered(slots: Sequence[_Slot], seed: int) -> list[_Slot]:
    """Return items by hash, first one of each cluster, then the second of each: n counts clusters."""
    by_hash = sorted(slots, key=lambda slot: _hash(seed, slot.key))
    seen: dict[tuple[str, str], int] = {}
    turn = []
    for slot in by_hash:
        cluster = slot.key.battery, slot.cluster
        seen[cluster] = seen.get(cluster, 0) + 1
        turn.append(seen[cluster])
    order = sorted(range(len(by_hash)), key=turn.__getitem__)
    return [by_hash[place] for place in order]


def _hash(seed: int, key: ItemKey) -> bytes:
    text = "\x1f".join((str(seed), *key))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _rotated(slots: Sequence[_Slot]) -> list[tuple[_Slot, _Slot]]:
    """Pair items with donors of other expectations: as many pairs as there can be.

    Items stand in groups of one expectation, the largest first, and are turned by its size. Then no item
    meets its own group, but those of a group that is more than half of all.
    """
    listed = sorted(slots, key=lambda slot: slot.expect)
    groups = [list(group) for _, group in groupby(listed, key=lambda slot: slot.expect)]
    groups.sort(key=len, reverse=True)
    ring = [slot for group in groups for slot in group]
    step = len(groups[0]) if groups else 0
    turned = ((slot, ring[(place + step) % len(ring)]) for place, slot in enumerate(ring))
    return [(item, donor) for item, donor in turned if item.expect != donor.expect]


def donor_answers(run: RunDir, arm: str, donors: Collection[ItemKey]) -> dict[ItemKey, DonorAnswer]:
    """Return the first answers of an arm to some items and probes."""
    found: dict[ItemKey, DonorAnswer] = {}
    wanted = pa.array(sorted({key.item_id for key in donors}), pa.string())
    opened = {name for folder in (run.arm(arm), run.probe(arm)) for name in opened_batteries(folder)}
    batches = (batch for folder in (run.arm(arm), run.probe(arm)) for batch in read_batches(folder, _COLUMNS))
    for batch in batches:
        first = pc.and_(pc.equal(batch.column("repeat"), 0), pc.is_in(batch.column("item_id"), wanted))
        for row in batch.filter(first).to_pylist():
            key = ItemKey(row["battery"], row["item_id"])
            if key in donors:
                raw = row["text_raw"]
                text = row["text"] if raw is None else raw.decode("utf-8", "surrogatepass")
                found[key] = DonorAnswer(text, row["finish_reason"], row["parts"], key.battery in opened)
    return found
