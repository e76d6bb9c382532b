"""The floor of one more honest run, predicted from the A/A runs that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom, binom, hypergeom

from tais.errors import TaisError
from tais.stats.null import difference_quantile
from tais.stats.predictive import (
    ONE_START,
    AgainstItself,
    StartSpread,
    predicted_count,
    predicted_difference,
    spread_difference,
    start_spread,
)
from tais.stats.simulation.floor import beyond_floor


def test_the_count_is_that_of_the_beta_binomial_law() -> None:
    for n, known, flips in [(100, 100, 0), (100, 100, 3), (40, 500, 10), (300, 60, 30)]:
        expected = int(betabinom.ppf(0.99, n, flips + 1, known - flips))
        assert predicted_count(n, AgainstItself(known, flips)) == expected


def test_the_count_is_the_limit_of_the_exact_conditional_test() -> None:
    """Thatcher (1964): the largest count that Fisher's one-sided test still takes for equal at 1 %."""
    known, flips, n = 120, 4, 150
    p = [float(hypergeom.sf(k - 1, n + known, k + flips, n)) for k in range(n + 1)]
    largest = max(k for k, value in enumerate(p) if value > 0.01)
    assert predicted_count(n, AgainstItself(known, flips)) == largest


def test_the_difference_is_that_of_the_flips_summed_by_hand() -> None:
    n, known, flips = 60, 80, 2
    k = np.arange(n + 1)
    mass = betabinom.pmf(k, n, flips + 1, known - flips)
    law = np.zeros(n + 1)
    for flipped, weight in zip(k, mass, strict=True):
        for up in range(flipped + 1):
            law[abs(2 * up - flipped)] += weight * binom.pmf(up, flipped, 0.5)
    expected = int(np.searchsorted(np.cumsum(law), 0.99))
    assert predicted_difference(n, AgainstItself(known, flips)) == expected


@pytest.mark.parametrize("n", [50, 100, 200])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05, 0.2])
def test_an_honest_run_lies_beyond_the_floor_as_rarely_as_said(n: int, share: float) -> None:
    """Enumerated. The quantile at the share that was seen is passed by up to 24 %."""
    answers, outcomes = beyond_floor(n, share)
    assert answers <= 0.01
    assert outcomes <= 0.01


def test_without_a_spread_the_known_share_gives_the_plain_quantile() -> None:
    for n, share in [(80, 0.1), (500, 0.02), (2000, 0.3)]:
        for one_sided in (False, True):
            plain = difference_quantile(n, share, 0.99, one_sided=one_sided)
            assert spread_difference(n, share, ONE_START, one_sided=one_sided) == plain


def test_one_run_shows_no_spread_and_equal_runs_have_none() -> None:
    assert start_spread([AgainstItself(100, 5, 5, 5)]).none
    assert start_spread([]).none
    # Shifts as wide as chance makes them: 5 flips have a squared shift of 5 on average.
    assert start_spread([AgainstItself(100, 5, 1, 5)] * 4).none
    assert start_spread([AgainstItself(100, 0)] * 3).none


def test_the_moments_find_the_spread_that_was_drawn() -> None:
    """2,000 starts of 400 items, whose share of flips is beta with an intraclass correlation of 0.05."""
    random = np.random.RandomState(1)
    size = 1 / 0.05 - 1
    share = random.beta(0.1 * size, 0.9 * size, 2000)
    flips = random.binomial(400, share)
    up = random.binomial(flips, random.beta(2, 2, 2000))
    found = start_spread(
        [AgainstItself(400, k, 2 * u - k, k) for k, u in zip(flips.tolist(), up.tolist(), strict=True)]
    )
    assert found.rate == pytest.approx(0.05, rel=0.1)
    # Directions are beta(2, 2) between starts: two flips of one start correlate by 1 / 5.
    assert found.lean == pytest.approx(0.2, rel=0.1)


def test_starts_that_differ_widen_every_floor() -> None:
    known = AgainstItself(400, 20)
    by_rate, by_lean = StartSpread(4, 0.05, 0.0), StartSpread(4, 0.0, 0.3)
    assert predicted_count(400, known, spread=by_rate) > predicted_count(400, known)
    for spread in (by_rate, by_lean):
        assert predicted_difference(400, known, spread=spread) > predicted_difference(400, known)
        assert spread_difference(400, 0.05, spread) > spread_difference(400, 0.05, ONE_START)
    # Fewer runs know less of how starts differ.
    few = StartSpread(2, 0.05, 0.0)
    assert predicted_count(400, known, spread=few) >= predicted_count(400, known, spread=by_rate)


def test_impossible_runs_are_refused() -> None:
    with pytest.raises(TaisError, match="n > 0"):
        predicted_count(0, AgainstItself(10, 1))
    with pytest.raises(TaisError, match="flips among"):
        predicted_difference(10, AgainstItself(10, 11))
