"""Longest match with the target's likeliest tokens: what every lossless rule is at temperature 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tais.lab.verification.draft import Draft
from tais.lab.verification.rng import Rng

__all__ = ["verify"]


def verify(draft: Draft, rng: Rng) -> Sequence[int]:
    """Follow the likeliest token, the smallest id on ties, as long as it was drafted. Takes no decision."""
    node, out = 0, []
    while True:
        token = int(torch.argmax(draft.p[node]))
        out.append(token)
        child = draft.child(node, token)
        if child is None:
            return out
        node = child
