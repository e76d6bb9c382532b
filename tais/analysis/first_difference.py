"""Identity: are two answers the same tokens, and if not, where do they first differ.

Token ids come first: two different ids can decode to the same text, and text can hide behind U+FFFD.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_difference"]

_STEP = 4096


def first_difference(reference: Sequence[object], candidate: Sequence[object]) -> int | None:
    """Return where two texts, or two sequences of token ids or bytes, first differ.

    Whole stretches are compared first, so that megabytes take milliseconds.

    Returns
    -------
    int or None
        0-based position; the shorter length where one continues the other; None for equal sequences.
    """
    if reference == candidate:
        return None
    shorter = min(len(reference), len(candidate))
    start = 0
    while start < shorter and reference[start : start + _STEP] == candidate[start : start + _STEP]:
        start += _STEP
    pairs = zip(reference[start : start + _STEP], candidate[start : start + _STEP], strict=False)
    found = next((start + index for index, (left, right) in enumerate(pairs) if left != right), None)
    return shorter if found is None else found
