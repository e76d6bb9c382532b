from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tais.stats.effect import cohens_d, cohens_h, cohens_h_interval
from tais.stats.paired import PairedTable, zero_discordance_bound
from tais.stats.proportions import as_interval
from tests.support import examples

cells = st.tuples(*(st.integers(0, 80) for _ in range(4))).filter(lambda x: sum(x) > 1)


def test_h_equals_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_effectsize

    # arXiv 2606.25097: refusal .78 against .79
    assert float(cohens_h(0.79, 0.78)) == pytest.approx(-0.024343, abs=5e-7)
    assert float(cohens_h(0.4, 0.9)) == pytest.approx(float(proportion_effectsize(0.9, 0.4)))


def test_one_flip_at_the_ceiling_is_a_fifth() -> None:
    assert float(cohens_h(1.0, 0.99)) == pytest.approx(-0.2003, abs=5e-5)


def test_ceiling_interval_is_the_closed_form_through_the_arcsine() -> None:
    n = 100
    low, high = as_interval(cohens_h_interval(PairedTable(n, 0, 0, 0), 0.9))
    expected = 2 * math.asin(math.sqrt(float(zero_discordance_bound(n, 0.9))))
    assert (low, high) == pytest.approx((-expected, expected), abs=1e-9)


@given(cells)
@settings(max_examples=examples(80), deadline=None)
def test_interval_holds_h_and_mirrors_when_arms_swap(x: tuple[int, int, int, int]) -> None:
    a, b, c, d = x
    table = PairedTable(a, b, c, d)
    low, high = as_interval(cohens_h_interval(table, 0.9))
    h = float(cohens_h(table.reference_rate, table.candidate_rate))
    assert low - 1e-9 <= h <= high + 1e-9
    assert high - low > 1e-6
    mirrored = as_interval(cohens_h_interval(PairedTable(a, c, b, d), 0.9))
    assert mirrored == pytest.approx((-high, -low), abs=1e-6)


def test_interval_covers_the_true_h_away_from_the_ceiling() -> None:
    # Simulation: p = .5, psi = .1, no difference; nominal 0.90, Monte Carlo error 0.004.
    random = np.random.RandomState(1)
    draws = random.multinomial(300, [0.45, 0.05, 0.05, 0.45], 5000).astype(float)
    low, high = cohens_h_interval(PairedTable(*draws.T), 0.9)
    assert 0.88 <= float(((low <= 0) & (high >= 0)).mean()) <= 0.93


def test_d_is_mean_over_spread_and_nothing_without_spread() -> None:
    assert cohens_d(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert cohens_d(np.zeros(10)) is None
