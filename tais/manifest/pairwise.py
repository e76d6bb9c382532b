"""Which combinations of settings to try: every pair of values at least once, in few rows.

Notes
-----
Libraries were looked at first. allpairspy 2.5 and covertable 3.2 do this too, and
``tests/test_cover.py`` holds sizes against theirs. Two reasons for a generator of our own: the rows
decide which arms a manifest means and stand in its lock, so another release of a package must not change
them; and rows that share a target arm are to be preferred, which neither can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

__all__ = ["MOST_COMBINATIONS", "Row", "full", "pairwise"]

Row = tuple[int, ...]
"""One index of a value per axis."""

MOST_COMBINATIONS = 100_000
"""Of one sweep: all are looked at, and more than this is no plan but a mistake."""


def full(sizes: Sequence[int], allowed: Callable[[Row], bool] | None = None) -> list[Row]:
    """Return all allowed combinations, the last axis fastest.

    Parameters
    ----------
    sizes
        Number of values per axis; their product is at most :data:`MOST_COMBINATIONS`.
    allowed
        Which combinations there may be; None allows all.

    Raises
    ------
    ValueError
        When an axis has no value, or there are too many combinations.
    """
    return [tuple(map(int, row)) for row in _product(sizes, allowed)]


def pairwise(
    sizes: Sequence[int],
    allowed: Callable[[Row], bool] | None = None,
    shared: Sequence[int] = (),
) -> list[Row]:
    """Return combinations in which every pair of values of two axes meets at least once.

    Parameters
    ----------
    sizes
        Number of values per axis; their product is at most :data:`MOST_COMBINATIONS`.
    allowed
        Which combinations there may be. A pair that no allowed combination holds need not be covered.
    shared
        Axes whose values another, shared thing depends on. Of rows that cover as much, one that repeats
        the shared values of an earlier row is taken.

    Returns
    -------
    list of Row
        The first is the first allowed one. The same arguments always give the same rows.

    Raises
    ------
    ValueError
        As :func:`full` does.

    Notes
    -----
    Greedy: the row that covers most pairs not yet covered, then without rows that later ones made
    needless. A greedy cover is at most the harmonic number of ``k (k - 1) / 2`` times the smallest, k
    axes (Chvatal 1979); in practice it is within a few rows of the known sizes. With one axis every
    value is a row.

    References
    ----------
    Cohen, Dalal, Fredman and Patton (1997), IEEE Transactions on Software Engineering 23, 437-444.
    Chvatal (1979), Mathematics of Operations Research 4, 233-235.
    """
    rows = _product(sizes, allowed)
    if len(sizes) < 2:
        return [tuple(map(int, row)) for row in rows]
    codes = _pair_codes(rows, sizes)
    chosen = _greedy(codes, _codes_of(rows, list(shared), sizes))
    return [tuple(map(int, rows[index])) for index in _without_needless(chosen, codes)]


def _product(sizes: Sequence[int], allowed: Callable[[Row], bool] | None) -> Rows:
    import numpy as np

    if not sizes or min(sizes) < 1:
        raise ValueError("every axis needs a value")
    total = prod(sizes)
    if total > MOST_COMBINATIONS:
        raise ValueError(f"{total:,} combinations, more than {MOST_COMBINATIONS:,}")
    rows = np.stack(np.unravel_index(np.arange(total), tuple(sizes)), axis=1)
    if allowed is None:
        return rows
    kept = [index for index, row in enumerate(rows) if allowed(tuple(map(int, row)))]
    return rows[kept]


def _codes_of(rows: Rows, axes: list[int], sizes: Sequence[int]) -> Rows:
    """Return one number per row that says its values on some axes."""
    import numpy as np

    code = np.zeros(len(rows), dtype=np.int64)
    for axis in axes:
        code = code * sizes[axis] + rows[:, axis]
    return code


def _pair_codes(rows: Rows, sizes: Sequence[int]) -> Rows:
    """Return, per row, the number of each pair of values that it holds: shape (rows, pairs of axes)."""
    import numpy as np

    columns: list[Any] = []
    first = 0
    for i, j in combinations(range(len(sizes)), 2):
        columns.append(first + _codes_of(rows, [i, j], sizes))
        first += sizes[i] * sizes[j]
    return np.stack(columns, axis=1)


def _greedy(codes: Rows, targets: Rows) -> list[int]:
    import numpy as np

    open_ = np.zeros(int(codes.max(initial=-1)) + 1, dtype=bool)
    open_[codes] = True
    used = np.zeros(int(targets.max(initial=0)) + 1, dtype=bool)
    chosen: list[int] = []
    while open_.any():
        gain = open_[codes].sum(axis=1)
        # argmax takes the first of equals: the order of the manifest decides.
        best = int(np.argmax(2 * gain + used[targets]))
        chosen.append(best)
        open_[codes[best]] = False
        used[targets[best]] = True
    return chosen


def _without_needless(chosen: list[int], codes: Rows) -> list[int]:
    """Drop rows whose pairs the others hold too, the latest first; the first row stays."""
    import numpy as np

    count = np.bincount(codes[chosen].ravel())
    kept = list(chosen)
    for index in reversed(chosen[1:]):
        if (count[codes[index]] > 1).all():
            kept.remove(index)
            count[codes[index]] -= 1
    return kept
