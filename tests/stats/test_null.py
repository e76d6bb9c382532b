from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.null import (
    Discordance,
    calibrated_null,
    difference_quantile,
    discordance_upper,
    h_quantile,
    h_usable_from,
    sign_flip_p,
    sign_flip_quantile,
)
from tais.stats.paired import mcnemar


def test_quantile_equals_the_brute_force_convolution() -> None:
    for n, psi in [(30, 0.2), (60, 0.05), (9, 1.0)]:
        step = np.array([psi / 2, 1 - psi, psi / 2])
        mass = np.array([1.0])
        for _ in range(n):
            mass = np.convolve(mass, step)
        absolute = np.array([mass[n], *(mass[n - k] + mass[n + k] for k in range(1, n + 1))])
        for q in (0.9, 0.99):
            assert difference_quantile(n, psi, q) == int(np.searchsorted(np.cumsum(absolute), q - 1e-12))
        signed = int(np.searchsorted(np.cumsum(mass), 0.99 - 1e-12)) - n
        assert difference_quantile(n, psi, 0.99, one_sided=True) == signed


def test_quantile_agrees_with_simulation() -> None:
    random = np.random.RandomState(3)
    discordant = random.binomial(500, 0.04, 40_000)
    difference = np.abs(2 * random.binomial(discordant, 0.5) - discordant)
    assert abs(difference_quantile(500, 0.04, 0.99) - np.quantile(difference, 0.99)) <= 1


def test_h_of_independent_runs_at_the_published_cutoff() -> None:
    # Independent arms at p = .5 differ in half of the items; then sd(h) = sqrt(2 / n) and 0.1 is the 95 %
    # quantile near n = 768.
    assert h_quantile(768, 0.5, 0.5, 0.95) == pytest.approx(0.1, abs=0.004)


def test_no_discordance_gives_no_effect_but_its_bound_does() -> None:
    assert h_quantile(100, 0.8, 0.0) == 0.0
    # Rule of three: no event in 100.
    assert discordance_upper(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    null = calibrated_null(100, 0.8, Discordance(100, 0.0, discordance_upper(0, 100)), 0.1)
    assert null.h_quantile == 0.0
    assert null.h_quantile_upper > 0.1
    assert null.discordance.degenerate


def test_upper_bound_is_that_of_clopper_and_pearson() -> None:
    from scipy.stats import binomtest

    expected = binomtest(7, 120).proportion_ci(0.9, method="exact").high
    assert discordance_upper(7, 120, 0.95) == pytest.approx(expected)


def test_cutoff_becomes_usable_where_the_quantile_falls_below_it() -> None:
    n = h_usable_from(0.8, 0.05, 0.1)
    assert n is not None
    assert h_quantile(n, 0.8, 0.05) < 0.1
    assert h_quantile(n // 2, 0.8, 0.05) >= 0.1


def test_one_sided_quantile_is_the_smaller() -> None:
    assert h_quantile(300, 0.8, 0.05, one_sided=True) < h_quantile(300, 0.8, 0.05)


def test_sign_flips_agree_with_the_exact_mcnemar_test() -> None:
    differences = np.r_[np.full(15, -1.0), np.full(4, 1.0), np.zeros(200)]
    assert sign_flip_p(differences) == pytest.approx(float(mcnemar(15, 4, mid_p=False)), abs=0.005)
    assert sign_flip_p(np.zeros(20)) == 1.0


def test_sign_flip_quantile_agrees_with_the_binomial() -> None:
    differences = np.r_[np.full(9, -1.0), np.full(11, 1.0), np.zeros(380)]
    # |S| = |2 Bin(20, 1/2) - 20| has its 0.95 quantile at 8.
    expected = 2 * np.arcsin(np.sqrt(0.5 + 8 / 400)) - 2 * np.arcsin(np.sqrt(0.5))
    assert sign_flip_quantile(differences, 0.5, 0.95) == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_gives_the_same_digits() -> None:
    differences = np.r_[np.full(9, -0.5), np.full(5, 1.0), np.zeros(80)]
    assert sign_flip_p(differences) == sign_flip_p(differences)


def test_impossible_nulls_are_refused() -> None:
    with pytest.raises(TaisError, match="n > 0"):
        difference_quantile(0, 0.1, 0.99)
