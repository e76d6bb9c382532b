"""What it costs to attack a host that holds some rows only: the gap bound of token sharding.

A host with the states at positions i_1 < ... < i_k (counted from 1) has to try all tokens up to i_1 at once,
and then all tokens of each gap at once: V^i_1 + sum of V^(i_(j+1) - i_j) forward passes. It is the cost of
this attack, and no proof that none is cheaper.

References
----------
Thomas et al. (2025), "Cascade: Token-Sharded Private LLM Inference", arXiv 2507.05228.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tais.errors import TaisError, UsageError

__all__ = ["log10_candidates", "shard_positions"]


def log10_candidates(positions: Sequence[int], vocabulary: int) -> float:
    """Return the decimal logarithm of the forward passes that vocabulary matching needs.

    Parameters
    ----------
    positions
        Rows that the host holds, counted from 1, ascending.
    vocabulary
        Tokens to try per position, at least 1.

    Raises
    ------
    TaisError
        When positions are not ascending from 1, or the vocabulary is empty.
    """
    gaps = np.diff([0, *positions])
    if not len(positions) or (gaps < 1).any() or vocabulary < 1:
        raise TaisError("a shard needs ascending positions from 1 and a vocabulary of at least 1")
    powers = gaps * np.log(vocabulary)
    return float(np.logaddexp.reduce(powers) / np.log(10))


def shard_positions(length: int, hosts: int) -> list[list[int]]:
    """Return which positions (from 1) each host holds when tokens are dealt out in turn.

    Raises
    ------
    UsageError
        When there are more hosts than tokens, or none.
    """
    if not 1 <= hosts <= length:
        what = f"{length} tokens cannot be dealt out to {hosts} hosts"
        raise UsageError(what, remedy=f"Give 1 to {length}")
    return [list(range(first, length + 1, hosts)) for first in range(1, hosts + 1)]
