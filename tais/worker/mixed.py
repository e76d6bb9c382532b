"""Mixed batches: requests that are drawn in another way stand beside those of a screen.

Real traffic is mixed, and some faults need it: a greedy request beside a sampled one goes another way through
an engine than among its like. What is compared stays as it was, as the answers of the others are thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from tais.manifest.model import MixedBatch
from tais.records import Request, SampleKey

__all__ = ["is_companion", "mixed"]


def mixed(asked: Sequence[Request], how: MixedBatch | None) -> Sequence[Request]:
    """Return requests with their companions: the same prompts, each right behind its own.

    Parameters
    ----------
    asked
        Of the screen, in order.
    how
        As of the arm; None leaves them alone.
    """
    if how is None:
        return asked
    found: list[Request] = []
    for place, request in enumerate(asked):
        found.append(request)
        # Spread evenly: the share of those before is never off by more than one.
        if int((place + 1) * how.share) > int(place * how.share):
            found.append(_companion(request, how))
    return found


def _companion(request: Request, how: MixedBatch) -> Request:
    own = {**json.loads(request.own or "{}"), **how.model_dump(exclude={"share"})}
    # Repeats count from 0, so that no sample of a screen has such a key.
    key = SampleKey(request.key.battery, request.key.item_id, -1 - request.key.repeat)
    return replace(request, key=key, seed=request.seed ^ 1, own=json.dumps(own, sort_keys=True))


def is_companion(key: SampleKey) -> bool:
    """Return whether an answer is thrown away."""
    return key.repeat < 0
