"""Identity: are two answers the same tokens, and if not, where do they first differ.

Token ids come first: two different ids can decode to the same text, and text can hide behind U+FFFD.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

__all__ = ["first_difference"]


def first_difference(reference: Sequence[int], candidate: Sequence[int]) -> int | None:
    """Return where two sequences of token ids (or bytes) first differ.

    Returns
    -------
    int or None
        0-based position; the shorter length where one continues the other; None for equal sequences.
    """
    pairs = enumerate(zip_longest(reference, candidate, fillvalue=None))
    return next((position for position, (left, right) in pairs if left != right), None)
