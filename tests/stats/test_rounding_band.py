from __future__ import annotations

import itertools

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.rounding_band import (
    ROUNDOFF,
    Band,
    band,
    conformance_rate,
    control_bound,
    exceedance_p,
    leak_upper_bound,
    margins,
    screen_bounds,
    share_upper_bound,
)
from tais.stats.simulation.conformance import planted_leaks


def test_margins_are_scores_below_the_best() -> None:
    assert margins([3.0, 2.0], [3.0, 1.5]).tolist() == [0.0, 0.5]
    with pytest.raises(TaisError, match="token 1 scores above"):
        margins([3.0, 2.0], [3.0, 2.5])
    with pytest.raises(TaisError, match="finite"):
        margins([3.0], [-np.inf])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_roundoff_is_numpys(dtype: str) -> None:
    assert ROUNDOFF[dtype] == np.finfo(dtype).eps / 2


def test_roundoff_of_bfloat16_is_eight_bits() -> None:
    """Float32 cut to its upper 16 bits, rounded to nearest: the largest relative error over [1, 2)."""
    x = np.linspace(1, 2, 100_001, dtype=np.float32)[:-1]
    cut = ((x.view(np.uint32) + 0x7FFF + ((x.view(np.uint32) >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    assert float((np.abs(cut - x) / x).max()) == pytest.approx(ROUNDOFF["bfloat16"], rel=0.01)


@pytest.mark.slow
def test_the_control_bound_is_exceeded_in_alpha_of_runs_of_exponential_misses() -> None:
    random = np.random.RandomState(0)
    for m in (2, 5, 40):
        control, candidate = random.exponential(0.1, (20_000, m)), random.exponential(0.1, (20_000, m))
        above = [c.max() > control_bound(a) for a, c in zip(control, candidate, strict=True)]
        assert 0.02 < np.mean(above) <= 0.05 + 0.005


def test_the_controls_largest_miss_would_be_exceeded_in_half_of_all_runs() -> None:
    random = np.random.RandomState(0)
    control, candidate = random.exponential(0.1, (2000, 9)), random.exponential(0.1, (2000, 9))
    assert (candidate.max(axis=1) > control.max(axis=1)).mean() == pytest.approx(0.5, abs=0.045)


def test_the_control_bound_by_hand() -> None:
    """m = 2, mean 0.1: (1 + x / 0.2)^-2 = 0.05 / 2 at x = 0.2 (sqrt(40) - 1)."""
    assert control_bound([0.1, 0.1]) == pytest.approx(0.2 * (np.sqrt(40) - 1))
    assert control_bound([]) == 0.0
    with pytest.raises(TaisError, match="positive finite"):
        control_bound([0.0, 0.1])


def test_the_band_is_the_larger_of_control_and_rounding() -> None:
    assert band([], ROUNDOFF["bfloat16"], 16.0).width == 4 * 16 / 256
    assert band([], ROUNDOFF["bfloat16"], 16.0, roundings=9).width == 3 * 4 * 16 / 256
    wide = band([0.3, 0.4, 0.5], ROUNDOFF["float32"], 16.0)
    assert wide.width == wide.control > 0.5
    with pytest.raises(TaisError, match="positive eps"):
        band([], 0.0, 1.0)


def test_rounding_of_a_residual_stream_stays_inside_the_band() -> None:
    """float16 sums of 33 updates, read out in float16, against float64: worst of 2000 margins."""
    random = np.random.RandomState(1)
    width, layers = 64, 33
    updates = random.standard_normal((2000, layers, width)) * 0.5
    readout = random.standard_normal((2, width))
    exact = updates.sum(axis=1) @ readout.T
    state = np.zeros((2000, width), np.float16)
    for layer in range(layers):
        state = (state + updates[:, layer].astype(np.float16)).astype(np.float16)
    rounded = (state.astype(np.float64) @ readout.T).astype(np.float16).astype(np.float64)
    error = np.abs(np.diff(rounded - exact, axis=1))
    limit = band([], ROUNDOFF["float16"], float(np.abs(exact).mean()), roundings=layers + 1)
    assert error.max() < limit.width
    assert error.max() > limit.width / 40


def test_exceedances_by_enumeration_of_all_orders() -> None:
    """3 candidate and 4 control tokens: in how many of C(7, 3) orders are the two largest the candidate's?"""
    orders = list(itertools.combinations(range(7), 3))
    two = sum({5, 6} <= set(order) for order in orders)
    assert exceedance_p(3, 4, 2) == pytest.approx(two / len(orders))
    assert exceedance_p(3, 4, 0) == 1.0


def test_conformance_counts() -> None:
    found = conformance_rate(
        np.array([0.0, 0.0, 0.2, 3.0]), np.array([0.0, 0.3]), Band(0.5, 0.5, 0.1),
        np.array([True, False, True, False]),
    )  # fmt: skip
    assert (found.n, found.ties, found.misses, found.outside, found.beyond_control) == (4, 1, 2, 1, 1)
    assert found.rate == 0.5
    assert found.largest == 3.0
    assert found.beyond_control_p == pytest.approx(4 / 6)
    # statsmodels proportion_confint(2, 4, method="wilson")
    assert found.wilson == pytest.approx((0.15003898915214947, 0.8499610108478506))


def test_conformance_of_nothing_is_refused() -> None:
    with pytest.raises(TaisError, match="at least one token"):
        conformance_rate(np.empty(0), np.zeros(3), Band(0, 0, 0))
    with pytest.raises(TaisError, match="not negative"):
        conformance_rate(np.array([-1.0]), np.zeros(3), Band(0, 0, 0))


def test_upper_bounds_are_exact_binomial_ones() -> None:
    from scipy.stats import binom

    assert share_upper_bound(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    bound = share_upper_bound(7, 300)
    assert binom.cdf(7, 300, bound) == pytest.approx(0.05)
    assert leak_upper_bound(300, 7, 0.5) == pytest.approx(2 * bound)
    assert leak_upper_bound(300, 7, 0.0) == 1.0
    assert leak_upper_bound(300, 290, 0.1) == 1.0
    with pytest.raises(TaisError, match="detection"):
        leak_upper_bound(10, 0, 1.2)


def test_planted_leaks_are_found_and_clean_arms_are_not_flagged() -> None:
    found = planted_leaks(20, tokens=2000, repetitions=40)
    assert found.detected == 1.0
    assert 0.2 < found.visible < 0.5
    assert found.bound_holds >= 0.85
    assert planted_leaks(0, tokens=2000, repetitions=40).detected <= 0.1


def test_bounds_of_a_screen_count_prompts_once() -> None:
    outside = np.array([True, True, False, False, False, True, False, False])
    found = screen_bounds(outside, [7, 7, 7, 8, 8, 9, 9, 4], 0.5)
    assert found.endpoint_difference == share_upper_bound(2, 4)
    assert found.leaked_tokens == leak_upper_bound(8, 3, 0.5)
    with pytest.raises(TaisError, match="one prompt for each token"):
        screen_bounds([], [], 0.5)
