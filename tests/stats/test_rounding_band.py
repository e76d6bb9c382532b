from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tais.errors import TaisError
from tais.stats.rounding_band import (
    ROUNDOFF,
    band,
    control_bound,
    leak_upper_bound,
    margins,
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


@pytest.mark.parametrize("misses", [1, 3, 10, 50])
def test_no_more_than_alpha_of_lossless_arms_exceed_the_control_bound(misses: int) -> None:
    """Noise varies by position with log-sd 0.5: exponential margins with lognormal means."""
    random = np.random.RandomState(misses)

    def drawn(n: int) -> NDArray[np.float64]:
        noise = np.exp(0.5 * random.standard_normal(n))
        return np.asarray(0.1 * random.exponential(1, n) * noise, np.float64)

    above = [drawn(6 * misses).max() > control_bound(drawn(misses), 6.0, typical=0.1) for _ in range(200)]
    # A binomial share of 0.05 of 200 is above 0.085 in 1 % of all cases.
    assert np.mean(above) <= 0.085


def test_the_controls_largest_miss_would_be_exceeded_in_half_of_all_runs() -> None:
    random = np.random.RandomState(0)
    control, candidate = random.exponential(0.1, (2000, 9)), random.exponential(0.1, (2000, 9))
    assert (candidate.max(axis=1) > control.max(axis=1)).mean() == pytest.approx(0.5, abs=0.045)


def test_the_control_bound_against_numerical_integration() -> None:
    """Of a lognormal mixture of Lawless's predictive law; the misses are too even to say more than 0.5."""
    from scipy.integrate import quad
    from scipy.stats import norm

    found = control_bound([0.1, 0.1], 2.0, 0.05)
    telling = 2 / (2 * math.exp(0.25) - 1)
    beyond, _ = quad(
        lambda z: norm.pdf(z) * (1 + found / (telling * 0.1 * math.exp(0.5 * z - 0.125))) ** -telling, -9, 9
    )
    assert 2 * 2 * beyond == pytest.approx(0.05, rel=1e-3)
    assert control_bound([]) == 0.0
    with pytest.raises(TaisError, match="positive finite"):
        control_bound([0.0, 0.1])


def test_a_typical_size_counts_like_eight_misses() -> None:
    assert control_bound([], 8.0, typical=0.1) == pytest.approx(control_bound([0.1] * 8))
    few, many = [0.01], [0.01] * 400
    assert control_bound(few, typical=0.1) > 1.5 * control_bound(many, typical=0.1)


def test_uneven_misses_make_the_bound_wider() -> None:
    random = np.random.RandomState(0)
    sizes = random.exponential(1, 200)
    uneven = sizes * np.exp(1.0 * random.standard_normal(200))
    assert control_bound(uneven) / uneven.mean() > 1.5 * control_bound(sizes) / sizes.mean()


def test_the_band_is_the_larger_of_control_and_rounding() -> None:
    assert band([], ROUNDOFF["bfloat16"], 16.0).rounding == 4 * 16 / 256
    deep = band([], ROUNDOFF["bfloat16"], 16.0, roundings=65)
    assert deep.width == deep.rounding == pytest.approx(65**0.5 * 4 * 16 / 256)
    wide = band([0.3, 0.4, 0.5], ROUNDOFF["float32"], 16.0)
    assert wide.width == wide.control > 0.5
    with pytest.raises(TaisError, match="positive eps"):
        band([], 0.0, 1.0)


def test_a_small_control_whose_noise_varies_makes_fewer_misses_sure() -> None:
    """Beyond the width alone some 10 to 20 % of lossless arms have a miss (docs/conformance.md)."""
    random = np.random.RandomState(0)
    even = random.exponential(1e-5, 60)
    uneven = even * np.exp(1.0 * random.standard_normal(60))
    for misses, ratio, more in ((even, 6.0, False), (uneven, 1.0, False), (uneven, 6.0, True)):
        found = band(misses, ROUNDOFF["float32"], 1.0, tokens_ratio=ratio)
        assert (found.sure > found.width) is more
    # A token of another model lies nats below the best.
    assert found.sure < 0.1


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


def test_noise_that_varies_by_position_makes_no_leak() -> None:
    """Under the bound for even noise a quarter of these arms are flagged."""
    found = planted_leaks(0, tokens=6000, control_tokens=1000, repetitions=60, spread=0.5)
    assert found.detected <= 0.05
