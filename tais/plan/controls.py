"""What a reference answers itself where it has no arm of its own: the control of `audit: only`.

How far tokens lie below the best by rounding alone is measured, not assumed. Some items, about 2,000 tokens
in all, are answered by the reference's stack and scored as the candidate's answers are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from pydantic import JsonValue

from tais.manifest.model import TEACHER_NAMES, Manifest
from tais.rundir.lock_model import LockedControl

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["ENOUGH", "SHAPE", "plan_controls"]

ENOUGH = 2_000
"""Tokens of a control."""
_MOST_ITEMS = 160
SHAPE = ("batch_size", "max_num_seqs", "max_num_batched_tokens", "enable_chunked_prefill")
"""Engine arguments that say how many tokens are computed at once."""


def plan_controls(manifest: Manifest, batteries: Sequence[LoadedBattery]) -> dict[int, LockedControl]:
    """Return the control of each contrast that has no target arm, by its place.

    Candidates of one reference that compute in one shape share theirs. At temperatures above 0 there is
    none: what is tested there is the law of tokens.
    """
    if manifest.sampling.temperature > 0:
        return {}
    found: dict[int, LockedControl] = {}
    shared: dict[tuple[str, str], LockedControl] = {}
    items = tuple(_drawn(batteries))
    for place, contrast in enumerate(manifest.contrasts):
        reference = manifest.arms[contrast.reference]
        if manifest.audit_of(contrast) != "only" or reference.engine not in TEACHER_NAMES or not items:
            continue
        shape = _shape(manifest, contrast.reference, contrast.candidate)
        control = LockedControl(
            name=contrast.candidate,
            reference=contrast.reference,
            engine_args=shape,
            items=items,
            tokens=ENOUGH,
        )
        key = contrast.reference, json.dumps(shape, sort_keys=True)
        found[place] = shared.setdefault(key, control)
    return found


def _shape(manifest: Manifest, reference: str, candidate: str) -> dict[str, JsonValue]:
    """Return the engine arguments of the reference, in the candidate's shape where its engine is the same."""
    own, other = manifest.arms[reference], manifest.arms[candidate]
    if own.engine != other.engine:
        return {key: own.engine_args[key] for key in SHAPE if key in own.engine_args}
    return {key: other.engine_args[key] for key in SHAPE if key in other.engine_args}


def _drawn(batteries: Sequence[LoadedBattery]) -> Iterator[tuple[str, str]]:
    """Yield items of all batteries in turn, and of each its short and its long ones alike."""
    by_battery = []
    for battery in batteries:
        sized = sorted((sum(len(m.content) for m in item.messages), item.id) for item in battery.items)
        by_battery.append([(battery.name, sized[place][1]) for place in _spread(len(sized))])
    turns = (key for turn in zip_longest(*by_battery) for key in turn if key is not None)
    yield from (key for _, key in zip(range(_MOST_ITEMS), turns, strict=False))


def _spread(n: int) -> list[int]:
    """Return the numbers below n, the first ones spread over all of them (van der Corput)."""
    bits = max(1, (n - 1).bit_length())
    order = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(1 << bits))
    return [place for place in order if place < n]
