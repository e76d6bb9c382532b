"""Covering arrays: complete by brute force, and near the best sizes that are known."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.manifest.pairwise import MOST_COMBINATIONS, Row, full, pairwise

# Shape: smallest size that is possible, or known (Colbourn's covering array tables; for mixed shapes the
# product of the two largest axes, which no cover can be below), then what allpairspy 2.5.1 gives.
SIZES = {
    (2,) * 4: (5, 6),
    (2,) * 5: (6, 6),
    (2,) * 10: (6, 8),
    (3,) * 4: (9, 9),
    (3, 2, 2, 2, 2): (6, 8),
    (5, 3, 2, 2): (15, 15),
    (4,) * 5: (16, 22),
    (5, 4, 3, 2, 2, 2, 2): (20, 20),
    (8, 5, 2): (40, 40),
}


def pairs(rows: list[Row]) -> set[tuple[int, int, int, int]]:
    return {(i, j, row[i], row[j]) for row in rows for i, j in combinations(range(len(row)), 2)}


def every_pair(sizes: tuple[int, ...]) -> set[tuple[int, int, int, int]]:
    return pairs(list(product(*map(range, sizes))))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple))
def test_every_pair_of_values_meets_and_no_row_is_needless(sizes: tuple[int, ...]) -> None:
    rows = pairwise(sizes)
    assert pairs(rows) == every_pair(sizes)
    assert rows[0] == (0,) * len(sizes)
    if len(sizes) > 1:
        assert all(pairs(rows[:i] + rows[i + 1 :]) < pairs(rows) for i in range(1, len(rows)))
    else:
        assert rows == [(value,) for value in range(sizes[0])]


@pytest.mark.parametrize("shape", SIZES)
def test_the_size_is_near_the_best_that_is_known(shape: tuple[int, ...]) -> None:
    best, library = SIZES[shape]
    found = len(pairwise(shape))
    assert best <= found <= max(1.25 * best, library + 1)


def test_a_wide_sweep_stays_small() -> None:
    # CA(2, 10, 3) is known with 14 rows.
    assert 14 <= len(pairwise((3,) * 10)) <= 17


@given(
    st.lists(st.integers(2, 4), min_size=2, max_size=4).map(tuple),
    st.sets(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=3),
)
def test_what_is_left_out_stays_out_and_every_other_pair_meets(
    sizes: tuple[int, ...], banned: set[tuple[int, int]]
) -> None:
    def allowed(row: Row) -> bool:
        return row[:2] not in banned

    rows = pairwise(sizes, allowed)
    reachable = [row for row in product(*map(range, sizes)) if allowed(row)]
    assert all(map(allowed, rows))
    assert pairs(rows) == pairs(reachable)
    assert full(sizes, allowed) == reachable


def test_rows_repeat_shared_values_where_that_costs_nothing() -> None:
    # Two axes of the target, one of the candidate: pairs need six rows; four targets are enough for them.
    sizes = (2, 2, 3)
    rows = pairwise(sizes, shared=[0, 1])
    assert len(rows) == 6
    assert len({row[:2] for row in rows}) == 4


def test_the_same_arguments_give_the_same_rows() -> None:
    assert pairwise((3, 2, 2, 4), shared=[0]) == pairwise((3, 2, 2, 4), shared=[0])


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        pairwise((2, 0))
    with pytest.raises(ValueError, match="combinations"):
        full((10,) * 6)
    assert MOST_COMBINATIONS < 10**6
    assert pairwise((2, 2), lambda row: False) == []
