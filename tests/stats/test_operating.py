"""Type I error and coverage, held to the bounds that the documentation states."""

from __future__ import annotations

import pytest

from tais.errors import TaisError
from tais.stats.simulation.endpoint import INTERVALS, coverage, h_coverage, size

MARGIN = 0.03
DISCORDANCE = (0.03, 0.035, 0.05, 0.1, 0.2)
NULL_DISCORDANCE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
RATES = (0.02, 0.1, 0.5, 0.79, 0.9, 0.98)


@pytest.mark.parametrize("n", [50, 88, 99, 120, 147, 199, 300, 500, 1000])
def test_size_of_the_default_is_at_most_7_percent(n: int) -> None:
    assert max(size("tango", n, MARGIN, psi) for psi in DISCORDANCE) <= 0.07


def test_size_of_the_default_is_a_power_at_its_floor() -> None:
    assert size("tango", 88, MARGIN, 0.03) == pytest.approx(0.97**88, rel=1e-6)


@pytest.mark.parametrize("n", [50, 99, *(pytest.param(n, marks=pytest.mark.slow) for n in (147, 200))])
def test_size_of_the_exact_test_is_at_most_5_percent(n: int) -> None:
    assert max(size("exact", n, MARGIN, psi) for psi in DISCORDANCE) <= 0.05


@pytest.mark.parametrize(
    ("n", "wald", "tango"),
    # Simulated with 20,000 draws at psi = 3 %, true difference 3 points: Wald .197, .119, .150; Tango .049,
    # .026, .061 (Monte Carlo error .003).
    [(100, 0.197, 0.049), (120, 0.119, 0.026), (200, 0.150, 0.061)],
)
def test_sizes_agree_with_an_independent_simulation(n: int, wald: float, tango: float) -> None:
    assert size("wald", n, MARGIN, 0.03) == pytest.approx(wald, abs=0.008)
    assert size("tango", n, MARGIN, 0.03) == pytest.approx(tango, abs=0.005)


@pytest.mark.parametrize("method", [m for m in INTERVALS if m != "wald"])
def test_intervals_cover(method: str) -> None:
    found = [
        coverage(method, n, psi, delta)
        for n in (50, 100, 500)
        for psi in NULL_DISCORDANCE
        for delta in (0.0, -0.005, -0.03)
        if abs(delta) <= psi
    ]
    assert min(found) >= 0.86
    assert sum(found) / len(found) >= 0.9


def test_the_wald_interval_does_not_cover() -> None:
    assert coverage("wald", 50, 0.005, -0.005) < 0.3


@pytest.mark.parametrize("rate", RATES)
def test_interval_of_h_covers(rate: float) -> None:
    found = [h_coverage(n, rate, psi, draws=2000) for n in (50, 300) for psi in (0.01, 0.05, 0.2)]
    assert min(x for x in found if x is not None) >= 0.87


@pytest.mark.nightly
@pytest.mark.parametrize("n", [*range(88, 330, 1), *range(330, 1001, 10)])
def test_size_of_the_default_on_the_whole_grid(n: int) -> None:
    assert max(size("tango", n, MARGIN, psi) for psi in (*DISCORDANCE, 0.0305, 0.04, 0.07)) <= 0.07


@pytest.mark.nightly
@pytest.mark.parametrize("n", [*range(50, 260, 10), 300, 400, 500, 700, 1000])
def test_size_of_the_exact_test_on_the_whole_grid(n: int) -> None:
    assert max(size("exact", n, MARGIN, psi) for psi in (*DISCORDANCE, 0.0305, 0.04, 0.07)) <= 0.05


@pytest.mark.nightly
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [50, 100, 200, 300, 500, 1000])
def test_interval_of_h_covers_on_the_whole_grid(n: int, rate: float) -> None:
    found = [h_coverage(n, rate, psi, draws=20_000) for psi in NULL_DISCORDANCE]
    assert min(x for x in found if x is not None) >= 0.88


def test_unknown_tests_are_refused() -> None:
    with pytest.raises(TaisError, match="no test named"):
        size("walt", 100, MARGIN, 0.03)
