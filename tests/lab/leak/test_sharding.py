"""The gap bound, against the count of a search that is really made."""

from __future__ import annotations

import math
from itertools import product

import pytest

from tais.errors import TaisError, UsageError
from tais.lab.leak.sharding import log10_candidates, shard_positions


def counted(positions: list[int], vocabulary: int) -> int:
    """Candidates of a host that tries every continuation up to its next row."""
    gaps = [b - a for a, b in zip([0, *positions], positions, strict=False)]
    return sum(len(list(product(range(vocabulary), repeat=gap))) for gap in gaps)


@pytest.mark.parametrize("positions", [[1], [3], [1, 2, 3], [2, 4, 7], [1, 4, 5]])
@pytest.mark.parametrize("vocabulary", [1, 2, 5])
def test_bound_is_the_number_of_candidates(positions: list[int], vocabulary: int) -> None:
    assert 10 ** log10_candidates(positions, vocabulary) == pytest.approx(counted(positions, vocabulary))


def test_all_rows_cost_the_vocabulary_per_token_and_a_gap_of_three_its_cube() -> None:
    assert log10_candidates(range(1, 51), 128_000) == pytest.approx(math.log10(50 * 128_000))
    assert log10_candidates([3, 6, 9], 128_000) == pytest.approx(math.log10(3 * 128_000**3))


def test_tokens_are_dealt_out_in_turn() -> None:
    assert shard_positions(7, 3) == [[1, 4, 7], [2, 5], [3, 6]]
    with pytest.raises(UsageError, match="cannot be dealt out"):
        shard_positions(2, 3)


@pytest.mark.parametrize("positions", [[], [0, 1], [2, 2], [3, 1]])
def test_positions_must_ascend(positions: list[int]) -> None:
    with pytest.raises(TaisError, match="ascending"):
        log10_candidates(positions, 10)
