"""Strata of a battery: its items by expectation, where the scorer reads a polarity.

Items to refuse and items to answer are never averaged: each stratum is an endpoint of its own.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tais.battery.item import Item
from tais.scorers import ScorerBase

__all__ = ["limited", "repeated_words", "shared_clusters", "strata_of"]


def strata_of(items: Iterable[Item], scorer: ScorerBase) -> dict[str | None, tuple[Item, ...]]:
    """Return the items of each stratum, by expectation in the order first asked; one None for all others."""
    found: dict[str | None, list[Item]] = {}
    split = scorer.exchange == "polarity"
    for item in items:
        found.setdefault(str(item.expect) if split else None, []).append(item)
    return {name: tuple(own) for name, own in found.items()}


def limited(items: Sequence[Item], limit: int | None, scorer: ScorerBase) -> tuple[Item, ...]:
    """Return at most so many items: the first ones of each stratum, in proportion to its size.

    Every stratum keeps at least one item as long as the limit has room for all of them. What is left of a
    share after whole items goes to the strata with the largest remainders.
    """
    if limit is None or limit >= len(items):
        return tuple(items)
    strata = strata_of(items, scorer)
    shares = _shares([len(own) for own in strata.values()], limit)
    kept = {item.id for own, share in zip(strata.values(), shares, strict=True) for item in own[:share]}
    return tuple(item for item in items if item.id in kept)


def _shares(sizes: Sequence[int], limit: int) -> list[int]:
    """Divide a limit below the sum of the sizes: largest remainders, and one for each where there is room."""
    total = sum(sizes)
    exact = [limit * size / total for size in sizes]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (shares[i] - exact[i], i))
    for index in by_remainder[: limit - sum(shares)]:
        shares[index] += 1
    while limit >= len(sizes) and 0 in shares:
        shares[shares.index(max(shares))] -= 1
        shares[shares.index(0)] += 1
    return shares


def shared_clusters(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items with one cluster for equal prompts.

    An item that the battery gave a cluster keeps it. Of the others, those with the same messages bear the id
    of the first one: however many ids a prompt has, it counts once. More space, characters that nobody sees
    and another spelling of the same characters make no other prompt; what is asked stays as it was written.
    """
    first: dict[_Asked, str] = {}
    return tuple(
        item
        if item.clustered or first.setdefault(_asked(item), item.id) == item.id
        else replace(item, cluster=first[_asked(item)])
        for item in items
    )


_Asked = tuple[tuple[str, str], ...]


def _asked(item: Item) -> _Asked:
    """Return what an item asks, in the form in which equal questions are equal."""
    return tuple((m.role, _seen(m.content)) for m in item.messages)


def _seen(text: str) -> str:
    """Return a text without what nobody sees: format characters, and how much space is between words."""
    if text.isascii():
        return " ".join(text.split())
    kept = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", kept).split())


def repeated_words(items: Iterable[Item]) -> str | None:
    """Say how many prompts occur under several ids, and how they count; None where each has one id."""
    items = tuple(items)
    counts = Counter(map(_asked, items))
    several = [count for count in counts.values() if count > 1]
    if not several:
        return None
    named = any(item.clustered for item in items)
    how = "n counts the clusters that the battery names" if named else "n counts each once"
    many = "1 prompt occurs" if len(several) == 1 else f"{len(several)} prompts occur"
    return f"{many} under several ids ({sum(several)} items): {how}"
