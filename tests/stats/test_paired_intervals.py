from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tais.stats.paired import PairedTable
from tais.stats.paired_intervals import agresti_min, bonett_price, newcombe, unpaired_wald_tost, wald
from tais.stats.proportions import Bounds, as_interval

CAVO = PairedTable(both=59, reference_only=16, candidate_only=6, neither=80)


@pytest.mark.parametrize(
    ("method", "expected"),
    # R: contingencytables 3.0.0, tests/testthat/test-ch8.R, airway study, 95 %
    [
        (newcombe, (-0.1186, -0.0046)),
        (wald, (-0.1184, -0.0058)),
        (agresti_min, (-0.1182, -0.0045)),
        (bonett_price, (-0.1195, -0.0032)),
    ],
)
def test_intervals_of_the_airway_study(method: Callable[..., Bounds], expected: tuple[float, float]) -> None:
    assert as_interval(method(CAVO)) == pytest.approx(expected, abs=5e-5)


def test_newcombe_with_two_concordant_pairs() -> None:
    # R: contingencytables 3.0.0, tests/testthat/test-ch8.R: (1,0,0,1) -> +/- 0.5734
    table = PairedTable(1, 0, 0, 1)
    assert as_interval(newcombe(table)) == pytest.approx((-0.5734, 0.5734), abs=5e-5)


def test_wald_is_a_point_without_discordance_and_the_others_are_not() -> None:
    table = PairedTable(70, 0, 0, 30)
    assert as_interval(wald(table)) == (0, 0)
    for method in (newcombe, agresti_min, bonett_price):
        low, high = as_interval(method(table))
        assert high - low > 0.02


@pytest.mark.parametrize("method", [newcombe, wald, agresti_min, bonett_price])
def test_swapping_arms_mirrors_each_interval(method: Callable[..., Bounds]) -> None:
    low, high = as_interval(method(PairedTable(40, 7, 3, 20)))
    assert as_interval(method(PairedTable(40, 3, 7, 20))) == pytest.approx((-high, -low))


def test_published_test_equals_that_of_statsmodels_on_independent_samples() -> None:
    from statsmodels.stats.proportion import tost_proportions_2indep

    result = unpaired_wald_tost(PairedTable(60, 20, 16, 104), 0.1)
    oracle = tost_proportions_2indep(76, 200, 80, 200, -0.1, 0.1, method="wald")
    assert float(result.p) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_published_test_has_no_nan_at_the_ceiling() -> None:
    result = unpaired_wald_tost(PairedTable(100, 0, 0, 0), 0.03)
    assert float(result.p) == 0.0
    assert np.all(np.isfinite(result.ci))
