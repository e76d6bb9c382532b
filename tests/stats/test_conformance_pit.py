from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.conformance.pit import Pit, uniformity

P = np.array([[0.5, 0.3, 0.2]])
Q = np.array([[0.2, 0.5, 0.3]])


@pytest.mark.parametrize(
    ("q", "cells"),
    # As listed; then by q/p = 0.4, 1.67, 1.5.
    # With q = p all ratios tie, and the order is that of the list.
    [
        (None, [(0, 0.5), (0.5, 0.8), (0.8, 1)]),
        (Q, [(0, 0.5), (0.7, 1), (0.5, 0.7)]),
        (P, [(0, 0.5), (0.5, 0.8), (0.8, 1)]),
    ],
)
def test_each_cell_fills_an_interval_of_its_own_probability(
    q: np.ndarray | None, cells: list[tuple[float, float]]
) -> None:
    for given, (low, high) in enumerate(cells):
        u = Pit(1).add(
            np.repeat(P, 4000, 0), None if q is None else np.repeat(q, 4000, 0), np.full(4000, given)
        )
        assert low <= u.min() < low + 0.01
        assert high - 0.01 < u.max() <= high


def test_the_randomisation_is_its_own_and_frozen() -> None:
    """NumPy's Philox 4x64 of key 7: the raw stream is part of NumPy's compatibility promise."""
    raw = np.random.Philox(key=7).random_raw(3)
    u = Pit(7).add(np.ones((3, 1)), None, np.zeros(3, np.int64))
    assert u == pytest.approx(raw / 2.0**64, abs=2**-52)


def test_distance_and_p_value_agree_with_scipy() -> None:
    from scipy.stats import chisquare, kstest, kstwo

    u = np.random.RandomState(0).beta(1.0, 1.08, 5000)
    counts = np.bincount((u * 1000).astype(np.int64), minlength=1000)
    found, oracle = uniformity(counts), kstest(u, "uniform")
    assert found.ks == pytest.approx(oracle.statistic, abs=1e-3)
    assert found.ks_p == pytest.approx(kstwo.sf(found.ks, 5000), rel=0.02)
    chi2 = chisquare(counts.reshape(100, 10).sum(axis=1))
    assert found.chi2 == pytest.approx(chi2.statistic)
    assert found.chi2_p == pytest.approx(chi2.pvalue)


def test_few_values_have_no_chi_squared_and_none_have_no_test() -> None:
    assert uniformity(np.bincount([3, 500, 999], minlength=1000)).chi2_p is None
    with pytest.raises(TaisError, match="at least one"):
        uniformity(np.zeros(1000, np.int64))
