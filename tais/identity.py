"""Identity: are two answers the same tokens, and if not, where do they first differ.

Token ids come first: two different ids can decode to the same text, and text can hide behind U+FFFD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAME", "Ragged", "first_differences"]

SAME = -1
_PAIRS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences of numbers of different lengths, in one array.

    Parameters
    ----------
    values
        All elements, shape (total,).
    offsets
        Shape (n + 1,): sequence i is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    def padded(self, rows: NDArray[np.int64], width: int, fill: int) -> NDArray[np.int64]:
        """Return the chosen sequences cut or filled up to `width`, shape (len(rows), width)."""
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        index = starts[:, None] + np.arange(width)[None, :]
        inside = index < ends[:, None]
        out = np.full(index.shape, fill, dtype=np.int64)
        out[inside] = self.values[index[inside]]
        return out


def first_differences(
    reference: Ragged, candidate: Ragged, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the position of the first difference of each pair of sequences.

    Parameters
    ----------
    reference, candidate
        Sequences of both arms.
    rows, columns
        Shape (n,): pair i is ``reference[rows[i]]`` and ``candidate[columns[i]]``.

    Returns
    -------
    ndarray
        Shape (n,): 0-based position, the shorter length where one continues the other, `SAME` (-1) for
        equal sequences.
    """
    positions = np.full(len(rows), SAME, dtype=np.int64)
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        left, right = rows[part], columns[part]
        lengths = np.maximum(
            reference.offsets[left + 1] - reference.offsets[left],
            candidate.offsets[right + 1] - candidate.offsets[right],
        )
        width = int(lengths.max(initial=0))
        # Different fillers: past the end of one sequence the other one's element is a difference, but past
        # both ends (beyond `lengths`) nothing is.
        unequal = reference.padded(left, width, -1) != candidate.padded(right, width, -2)
        unequal &= np.arange(width)[None, :] < lengths[:, None]
        found = unequal.any(axis=1)
        positions[part][found] = unequal[found].argmax(axis=1)
    return positions
