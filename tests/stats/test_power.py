from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.paired import PairedTable, tango_statistic, tost
from tais.stats.power import (
    minimum_detectable_difference,
    n_for_scores,
    n_needed,
    power,
    wald_n,
    zero_discordance_floor,
)


def test_floors_at_three_points() -> None:
    assert zero_discordance_floor(0.03) == 88
    assert zero_discordance_floor(0.03, 0.025) == 125
    for margin in (0.01, 0.05, 0.2):
        n = zero_discordance_floor(margin)
        assert tost(PairedTable(n, 0, 0, 0), margin).equivalent
        assert not tost(PairedTable(n - 1, 0, 0, 0), margin).equivalent


@pytest.mark.parametrize(
    ("discordance", "at_80", "at_90"),
    # Liu et al. (2002) at no difference, margin 0.03, alpha 0.05, recomputed by hand from the z quantiles.
    [(0.01, 96, 121), (0.02, 191, 241), (0.05, 476, 602)],
)
def test_textbook_sample_sizes(discordance: float, at_80: int, at_90: int) -> None:
    assert (wald_n(0.03, discordance, 0.8), wald_n(0.03, discordance, 0.9)) == (at_80, at_90)


def test_power_agrees_with_simulation() -> None:
    random = np.random.RandomState(5)
    b, c, rest = random.multinomial(300, [0.015, 0.01, 0.975], 20_000).T.astype(float)
    simulated = float(tost(PairedTable(rest, b, c, 0), 0.03).equivalent.mean())
    assert power(300, 0.03, 0.025, -0.005) == pytest.approx(simulated, abs=0.012)


def test_power_without_discordance_is_all_or_nothing() -> None:
    assert power(87, 0.03, 0.0) == 0.0
    assert power(88, 0.03, 0.0) == pytest.approx(1.0)


def test_n_needed_reaches_its_power_and_one_less_does_not() -> None:
    n = n_needed(0.03, 0.02, 0.9)
    assert n is not None
    assert power(n, 0.03, 0.02) >= 0.9
    assert n >= wald_n(0.03, 0.02, 0.9)
    ahead = (n - 1, n - 1 + (n - 1) // 50, n - 1 + (n - 1) // 25)
    assert min(power(m, 0.03, 0.02) for m in ahead) < 0.9


def test_no_n_is_enough_beyond_the_margin() -> None:
    assert n_needed(0.03, 0.05, 0.8, difference=-0.03) is None
    assert n_needed(0.03, 0.05, 0.8, difference=0.04, non_inferiority=True) is not None


def test_non_inferiority_needs_fewer() -> None:
    one, two = n_needed(0.03, 0.05, non_inferiority=True), n_needed(0.03, 0.05)
    assert one is not None
    assert two is not None
    assert one < two


def test_n_for_scores_is_where_the_scaled_table_decides() -> None:
    worse, better = (float(tango_statistic(PairedTable(192, 2, 2, 4), m)) for m in (-0.03, 0.03))
    n = n_for_scores(200, worse, better)
    assert n is not None
    for m, passes in ((n, True), (n - 2, False)):
        scaled = PairedTable(0.98 * m, 0.01 * m, 0.01 * m, 0)
        assert bool(tost(scaled, 0.03).equivalent) is passes
    assert n_for_scores(100, 0.0, -3.0) is None


def test_detectable_difference_is_caught_as_often_as_asked() -> None:
    fall = minimum_detectable_difference(468, 0.03, 0.02, 0.9)
    assert fall is not None
    assert 1 - power(468, 0.03, max(0.02, fall), -fall) == pytest.approx(0.9, abs=0.01)
    failing = minimum_detectable_difference(468, 0.03, 0.02, 0.9, as_failure=True)
    assert failing is not None
    assert failing > 0.03
    assert minimum_detectable_difference(50, 0.03, 0.02) == 0.0


@pytest.mark.parametrize("bad", [(0, 0.02, 0.0), (100, 0.02, 0.05), (100, 1.5, 0.0)])
def test_impossible_designs_are_refused(bad: tuple[int, float, float]) -> None:
    with pytest.raises(TaisError, match="discordance"):
        power(bad[0], 0.03, bad[1], bad[2])
