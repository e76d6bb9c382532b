from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.errors import TaisError
from tais.stats.paired import (
    PairedTable,
    mcnemar,
    restricted_rates,
    tango_interval,
    tango_statistic,
    tost,
    zero_discordance_bound,
)
from tais.stats.proportions import as_interval
from tests.support import examples

cells = st.tuples(*(st.integers(0, 60) for _ in range(4))).filter(lambda x: sum(x) > 0)
# Table 2 of the airway study of Cavo et al. (2012): both, first only, second only, neither.
CAVO = PairedTable(both=59, reference_only=16, candidate_only=6, neither=80)


def test_tango_of_his_own_contact_lens_example() -> None:
    # R: ratesci tests/testthat (PeteLaud/ratesci), n = 44, 90 %: -0.096, 0.037; Tango (1998): Z = 1.709
    table = PairedTable(43, 1, 0, 0)
    assert as_interval(tango_interval(table, 0.9)) == pytest.approx((-0.095662, 0.036517), abs=5e-7)
    assert float(tango_statistic(table, -0.1)) == pytest.approx(1.70856, abs=5e-6)
    assert float(tost(table, 0.1).p_lower) == pytest.approx(0.04377, abs=5e-6)


def test_tango_of_the_airway_study() -> None:
    # R: contingencytables 3.0.0, tests/testthat/test-ch8.R: -0.1240, -0.0054
    assert as_interval(tango_interval(CAVO)) == pytest.approx((-0.1240, -0.0054), abs=5e-5)


def test_tango_where_every_pair_is_discordant() -> None:
    # R: contingencytables 3.0.0, tests/testthat/test-ch8.R: (0,3,0,0) -> -0.1230, 1
    assert as_interval(tango_interval(PairedTable(0, 0, 3, 0))) == pytest.approx((-0.1230, 1), abs=5e-5)
    assert as_interval(tango_interval(PairedTable(0, 3, 0, 0))) == pytest.approx((-1, 0.1230), abs=5e-5)


def test_tango_without_concordance_information() -> None:
    # R: PropCIs::scoreci.mp(40, 20, 160)
    table = PairedTable(60, 20, 40, 40)
    assert as_interval(tango_interval(table)) == pytest.approx((0.030865, 0.218064), abs=5e-7)


def test_zero_discordance_needs_88_items() -> None:
    assert not tost(PairedTable(87, 0, 0, 0), 0.03).equivalent
    assert tost(PairedTable(88, 0, 0, 0), 0.03).equivalent
    assert float(tost(PairedTable(50, 0, 0, 0), 0.03).p) == pytest.approx(0.107, abs=5e-4)
    assert float(tost(PairedTable(953, 0, 0, 0), 0.03).p) == pytest.approx(2.8e-8, abs=1e-9)


def test_zero_discordance_is_the_closed_form_of_the_statistic() -> None:
    bound = float(zero_discordance_bound(200, 0.9))
    low, high = as_interval(tango_interval(PairedTable(150, 0, 0, 50), 0.9))
    assert (low, high) == pytest.approx((-bound, bound), abs=1e-15)
    # The statistic itself reaches z there.
    assert float(tango_statistic(PairedTable(200, 0, 0, 0), -bound)) == pytest.approx(1.644854, abs=1e-5)


@pytest.mark.parametrize(
    ("n", "one_way", "each_way"),
    # Largest discordance that still passes at 3 points: recomputed with scipy from Tango's formulas.
    [(100, 0, 0), (120, 0, 1), (200, 2, 5), (313, 4, 15), (520, 9, 44), (953, 19, 150), (1000, 21, 165)],
)
def test_most_flips_that_still_pass(n: int, one_way: int, each_way: int) -> None:
    def passes(down: int, up: int) -> bool:
        return bool(tost(PairedTable(n - down - up, down, up, 0), 0.03).equivalent)

    assert passes(one_way, 0)
    assert not passes(one_way + 1, 0)
    assert passes(each_way, each_way)
    assert not passes(each_way + 1, each_way + 1)


@given(cells, st.floats(0.5, 0.99))
@settings(max_examples=examples(80), deadline=None)
def test_swapping_arms_mirrors_the_interval(x: tuple[int, int, int, int], confidence: float) -> None:
    a, b, c, d = x
    low, high = as_interval(tango_interval(PairedTable(a, b, c, d), confidence))
    mirrored = as_interval(tango_interval(PairedTable(a, c, b, d), confidence))
    assert (-high, -low) == pytest.approx(mirrored, abs=1e-9)


@given(cells, st.floats(0.01, 0.6))
@settings(max_examples=examples(120), deadline=None)
def test_interval_and_test_agree(x: tuple[int, int, int, int], margin: float) -> None:
    result = tost(PairedTable(*x), margin)
    low, high = as_interval(result.ci)
    if min(abs(low + margin), abs(high - margin)) > 1e-9:
        assert bool(result.equivalent) == (-margin < low and high < margin)


@given(cells, st.floats(0.01, 0.5), st.floats(0.01, 0.4))
@settings(max_examples=examples(60), deadline=None)
def test_a_wider_margin_never_loses_a_pass(x: tuple[int, int, int, int], margin: float, more: float) -> None:
    table = PairedTable(*x)
    assert float(tost(table, margin + more).p) <= float(tost(table, margin).p) + 1e-12


@given(cells)
@settings(max_examples=examples(60), deadline=None)
def test_interval_holds_the_estimate_and_has_width(x: tuple[int, int, int, int]) -> None:
    table = PairedTable(*x)
    low, high = as_interval(tango_interval(table, 0.9))
    assert -1 <= low <= float(table.difference) <= high <= 1
    assert high - low > 1e-3


def test_restricted_rates_are_the_likelihood_maximum() -> None:
    from scipy.optimize import minimize

    delta, (a, b, c, d) = -0.15, (59.0, 6.0, 16.0, 80.0)

    def minus_log_likelihood(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        down, share = x
        up = down + delta
        rest = 1 - down - up
        cells = np.array([rest * share, down, up, rest * (1 - share)])
        return -float((np.array([a, b, c, d]) * np.log(cells)).sum())

    found = minimize(minus_log_likelihood, [0.3, 0.4], bounds=[(0.1501, 0.57), (0.01, 0.99)])
    down, share = found.x
    kept = (1 - 2 * down - delta) * share
    reference, candidate = restricted_rates(PairedTable(a, b, c, d), delta)
    assert float(reference) == pytest.approx(kept + down, abs=1e-4)
    assert float(candidate) == pytest.approx(kept + down + delta, abs=1e-4)


def test_arrays_and_single_tables_give_the_same_bits() -> None:
    b, c = np.array([0.0, 3, 10]), np.array([0.0, 1, 0])
    low, high = tango_interval(PairedTable(100 - b - c, b, c, 5), 0.9)
    for i in range(3):
        single = tango_interval(PairedTable(100 - b[i] - c[i], b[i], c[i], 5), 0.9)
        assert as_interval(single) == (low[i], high[i])


def test_non_inferiority_reads_the_lower_test_only() -> None:
    table = PairedTable(300, 0, 40, 60)
    assert not tost(table, 0.03).equivalent
    assert tost(table, 0.03, one_sided=True).equivalent


def test_mcnemar_of_the_airway_study() -> None:
    # R: contingencytables 3.0.0, tests/testthat/test-ch8.R: exact 0.052479, mid-p 0.034690
    assert float(mcnemar(16, 6, mid_p=False)) == pytest.approx(0.052479, abs=5e-7)
    assert float(mcnemar(16, 6)) == pytest.approx(0.034690, abs=5e-7)


def test_exact_mcnemar_equals_that_of_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import mcnemar as oracle

    for b, c in [(1, 9), (4, 4), (0, 6)]:
        expected = oracle([[5, b], [c, 5]], exact=True).pvalue
        assert float(mcnemar(b, c, mid_p=False)) == pytest.approx(min(expected, 1), abs=1e-12)


def test_mcnemar_without_flips_is_1() -> None:
    assert float(mcnemar(0, 0)) == 1.0


@pytest.mark.parametrize(
    "bad", [(-1, 0, 0, 5), (float("nan"), 0, 0, 5), (0, 0, 0, 0), (float("inf"), 0, 0, 1)]
)
def test_what_is_no_table_is_refused(bad: tuple[float, float, float, float]) -> None:
    with pytest.raises(TaisError, match="paired table"):
        tango_interval(PairedTable(*bad))


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.1, float("nan")])
def test_margins_outside_0_and_1_are_refused(margin: float) -> None:
    with pytest.raises(TaisError, match="margin"):
        tost(PairedTable(100, 0, 0, 0), margin)
