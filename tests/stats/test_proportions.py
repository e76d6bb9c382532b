from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.proportions import (
    Bounds,
    agresti_coull,
    as_interval,
    clopper_pearson,
    jeffreys,
    normal_quantile,
    wilson,
)

METHODS = [
    ("wilson", wilson),
    ("agresti_coull", agresti_coull),
    ("jeffreys", jeffreys),
    ("beta", clopper_pearson),
]


@pytest.mark.parametrize(("name", "function"), METHODS)
@pytest.mark.parametrize(("x", "n"), [(0, 20), (1, 50), (79, 100), (587, 700), (50, 50)])
def test_intervals_equal_those_of_statsmodels(
    name: str, function: Callable[..., Bounds], x: int, n: int
) -> None:
    from statsmodels.stats.proportion import proportion_confint

    expected = np.clip(proportion_confint(x, n, 0.1, method=name), 0, 1)
    assert as_interval(function(x, n, 0.9)) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_of_published_counts() -> None:
    # arXiv 2606.25097: AdvBench refusal of the 70B probe, 587 of 700, Wilson [0.809, 0.864].
    assert as_interval(wilson(587, 700)) == pytest.approx((0.80948, 0.86397), abs=5e-6)
    # statsmodels proportion_confint(79, 100, method="wilson")
    assert as_interval(wilson(79, 100)) == pytest.approx((0.700200, 0.858343), abs=5e-7)


def test_ends_are_exact_and_arrays_broadcast() -> None:
    low, high = wilson([0, 5, 10], 10)
    assert low[0] == 0.0
    assert high[2] == 1.0
    assert low.shape == (3,)


@pytest.mark.parametrize(("x", "n"), [(-1, 10), (11, 10), (0, 0), (float("nan"), 10)])
def test_impossible_counts_are_refused(x: float, n: float) -> None:
    with pytest.raises(TaisError, match="0 <= successes <= n"):
        wilson(x, n)


def test_confidence_must_lie_between_0_and_1() -> None:
    with pytest.raises(TaisError, match="not in"):
        normal_quantile(1.0)
