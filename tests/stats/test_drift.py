"""All misses of an audit together, against the reference's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.drift import MissRate, drift_test, rate_ratio_bound


def test_the_p_value_is_the_share_of_swaps_with_as_many_misses() -> None:
    reference, candidate = np.array([0, 1, 0, 2, 0]), np.array([2, 1, 3, 1, 1])
    found = drift_test(reference, candidate, reference / 4, candidate / 4)
    d = candidate - reference
    swaps = [np.dot(signs, d) >= d.sum() for signs in itertools.product((-1, 1), repeat=len(d))]
    assert found.misses_p == pytest.approx(np.mean(swaps))
    assert found.margin_p == pytest.approx(np.mean(swaps))
    assert found.p == pytest.approx(min(1.0, 2 * float(np.mean(swaps))))


def test_fewer_misses_are_no_drift() -> None:
    none, some = np.zeros(20, np.int64), np.ones(20, np.int64)
    assert drift_test(some, none, some / 10, none / 10).p == 1.0
    assert drift_test(some, some, some / 10, some / 10).p == 1.0
    with pytest.raises(TaisError, match="same items"):
        drift_test(none, none[:3], none / 10, none / 10)


def test_equal_stacks_drift_at_their_level() -> None:
    random = np.random.RandomState(3)
    below = []
    for _ in range(100):
        # Items differ much in how near their ties are, and both arms answer all of them.
        rate = random.gamma(0.2, 1.0, 200)
        a, b = random.poisson(rate), random.poisson(rate)
        below.append(drift_test(a, b, a * random.rand(200), b * random.rand(200)).p < 0.05)
    # A binomial share of 0.05 of 100 is above 0.11 in 1 % of all cases.
    assert np.mean(below) <= 0.11


def test_the_lower_bound_of_a_ratio_is_the_conditional_binomial_one() -> None:
    from scipy.stats import binom

    found = rate_ratio_bound(MissRate(12_661, 73), MissRate(12_725, 6))
    share = found * 12_661 / (found * 12_661 + 12_725)
    assert binom.sf(72, 79, share) == pytest.approx(0.05, rel=1e-4)
    assert 5 < found < 73 / 6
    assert rate_ratio_bound(MissRate(100, 0), MissRate(100, 3)) == 0.0
    # Seven of seven: share ** 7 = 0.05.
    share = 0.05 ** (1 / 7)
    assert rate_ratio_bound(MissRate(100, 7), MissRate(100, 0)) == pytest.approx(share / (1 - share))


def test_misses_that_come_together_count_for_fewer() -> None:
    alone = MissRate.of(np.full(40, 50), np.repeat([1, 0], 20))
    together = MissRate.of(np.full(40, 50), np.repeat([10, 0], [2, 38]))
    assert (alone.misses, alone.dispersion) == (20, 1.0)
    assert (together.misses, together.dispersion) == (20, 10.0)
    control = MissRate(2000, 4)
    assert rate_ratio_bound(together, control) < rate_ratio_bound(alone, control)
