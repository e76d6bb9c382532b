from __future__ import annotations

import itertools

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.exact import exact_p
from tais.stats.paired import PairedTable
from tais.stats.sequential import KINDS, Boundary, Look, _log_wealth, even_looks, together
from tais.stats.simulation.looks import operate
from tais.stats.spending import nominal_levels

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("kind", "bounds"),
    # R package ldbounds, five equal looks, one-sided 0.025 (also Lan and DeMets 1983, by their functions).
    [
        ("obrien_fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_bounds_are_the_published_ones(kind: str, bounds: list[float]) -> None:
    from scipy.stats import norm

    levels = nominal_levels(kind, FIVE, 0.025)
    assert norm.isf(levels) == pytest.approx(bounds, abs=2e-4)


def test_the_last_look_spends_everything_wherever_it_comes() -> None:
    for end in (1.0, 0.7, 1.2):
        assert nominal_levels("obrien_fleming", (end,), 0.05)[0] == pytest.approx(0.05)


@pytest.mark.parametrize("fractions", [(), (0.5, 0.5), (0.0, 1.0)])
def test_looks_that_do_not_rise_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(TaisError, match="rising"):
        nominal_levels("pocock", fractions, 0.05)


def test_fixed_is_the_exact_test_at_the_end() -> None:
    boundary = Boundary(0.03, (50, 99), kind="fixed")
    assert boundary.look(PairedTable(50, 0, 0, 0), 50) is Look.go_on
    assert boundary.look(PairedTable(99, 0, 0, 0), 99) is Look.passed
    assert Boundary(0.03, (98,), kind="fixed").look(PairedTable(98, 0, 0, 0), 98) is Look.go_on
    # exact_p against "at most 3 points worse" in the mirrored table: 9 of 99 is beyond it.
    assert exact_p(99, 0, 9, 0.03) < 0.05
    assert boundary.look(PairedTable(90, 9, 0, 0), 99) is Look.failed


@pytest.mark.parametrize("kind", KINDS)
def test_no_look_decides_what_its_level_does_not_allow(kind: str) -> None:
    """Every pass at a look has an exact p-value of at most alpha, whatever the table."""
    boundary = Boundary(0.1, (60, 120), kind=kind)
    for b, c in itertools.product(range(0, 12), repeat=2):
        if boundary.look(PairedTable(120 - b - c, b, c, 0), 120) is Look.passed:
            assert max(exact_p(120, b, c, -0.1), exact_p(120, c, b, -0.1)) <= 0.05


def test_a_single_look_fails_where_the_exact_test_does() -> None:
    boundary = Boundary(0.1, (120,), kind="fixed")
    for b, c in itertools.product(range(10, 34), (0, 3, 6)):
        # "At least 10 points worse" is "at most 10 points better" in the mirrored table.
        beyond = exact_p(120, c, b, 0.1) <= 0.05
        assert (boundary.look(PairedTable(120 - b - c, b, c, 0), 120) is Look.failed) == beyond
        assert (boundary.look(PairedTable(120 - b - c, c, b, 0), 120) is Look.failed) == beyond


def test_identical_arms_pass_early_and_bad_ones_fail_early() -> None:
    boundary = Boundary(0.03, even_looks(500))
    assert boundary.look(PairedTable(300, 0, 0, 0), 300) is Look.passed
    assert boundary.look(PairedTable(160, 40, 0, 0), 200) is Look.failed
    assert boundary.look(PairedTable(160, 0, 40, 0), 200) is Look.failed
    better = Boundary(0.03, even_looks(500), one_sided=True)
    assert better.look(PairedTable(160, 0, 40, 0), 200) is Look.passed


@pytest.mark.parametrize("kind", KINDS)
def test_no_flips_pass_where_the_look_says_so(kind: str) -> None:
    boundary = Boundary(0.05, (40, 80, 100, 130, 160), kind=kind)
    found = [boundary.passes_without_flips(n) for n in boundary.looks]
    assert found == [boundary.look(PairedTable(n, 0, 0, 0), n) is Look.passed for n in boundary.looks]
    assert found[-1]


def test_an_unplanned_look_is_refused() -> None:
    boundary = Boundary(0.03, (100, 200))
    with pytest.raises(TaisError, match="no look was planned after 150"):
        boundary.look(PairedTable(150, 0, 0, 0), 150)
    with pytest.raises(TaisError, match="table of 90"):
        boundary.look(PairedTable(90, 0, 0, 0), 100)


def test_items_that_ended_early_get_the_level_that_is_left() -> None:
    boundary = Boundary(0.03, (200, 400, 500)).ended(450)
    assert boundary.looks == (200, 400, 450)
    assert boundary._level(400) == pytest.approx(Boundary(0.03, (200, 400, 500))._level(400))
    assert boundary._level(450) == pytest.approx(nominal_levels("obrien_fleming", (0.4, 0.8, 0.9), 0.05)[2])


@pytest.mark.parametrize(
    "broken",
    [{"looks": ()}, {"looks": (5, 5)}, {"kind": "maybe"}, {"margin": 0.0}, {"alpha": 0.5}, {"looks": (0, 5)}],
)
def test_a_boundary_that_cannot_hold_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(TaisError):
        Boundary(**({"margin": 0.03, "looks": (10,)} | broken))  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_wealth_has_mean_1_at_the_margin(sign: int) -> None:
    """Enumeration of all paths of five items with difference -0.03 and discordance 0.2."""
    cells = {-1: 0.115, 0: 0.8, 1: 0.085}
    mean = 0.0
    for path in itertools.product((-1, 0, 1), repeat=5):
        down, up = path.count(-1), path.count(1)
        wealth = np.exp(_log_wealth(np.asarray(down), np.asarray(up), np.asarray(5), 0.03, sign))
        mean += float(np.prod([cells[d] for d in path])) * float(wealth)
    assert mean == pytest.approx(1.0, rel=1e-12)


def test_betting_may_be_looked_at_after_any_item() -> None:
    boundary = Boundary(0.03, (500,), kind="betting")
    passes = [n for n in range(80, 200) if boundary.look(PairedTable(n, 0, 0, 0), n) is Look.passed]
    # All on the largest bet would pass at 99, (1 / 0.97)^n >= 20; half on it at 122 at the latest.
    assert 99 <= passes[0] <= 122
    assert passes == list(range(passes[0], 200))


def test_a_candidate_fails_with_any_endpoint_and_passes_with_all() -> None:
    assert together([Look.passed, Look.failed, Look.go_on]) is Look.failed
    assert together([Look.passed, Look.go_on]) is Look.go_on
    assert together([Look.passed, Look.passed]) is Look.passed
    assert together([]) is Look.go_on


def test_even_looks() -> None:
    assert even_looks(500) == (100, 200, 300, 400, 500)
    assert even_looks(500, first=120) == (200, 300, 400, 500)
    assert even_looks(3, 5) == (1, 2, 3)
    with pytest.raises(TaisError):
        even_looks(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("max_n", "looks"), [(200, 4), (500, 5), (1000, 10)])
def test_error_rates_at_the_margin_are_kept(kind: str, max_n: int, looks: int) -> None:
    for discordance in (0.03, 0.05, 0.1):
        found = operate(Boundary(0.03, even_looks(max_n, looks), kind=kind), discordance, -0.03, 4_000)
        # 0.05 and three standard deviations of 4,000 screens.
        assert found.passed <= 0.0604
        assert found.failed <= 0.0604


def test_simulation_agrees_with_the_exact_power_of_one_look() -> None:
    """At 99 items only tables without discordance in favour of nothing pass: see exact_p."""
    found = operate(Boundary(0.03, (99,), kind="fixed"), 0.01, 0.0, 20_000)
    exact = sum(
        p
        for b, c in itertools.product(range(6), repeat=2)
        if max(exact_p(99, b, c, -0.03), exact_p(99, c, b, -0.03)) <= 0.05
        for p in [_trinomial(99, b, c, 0.005)]
    )
    assert found.passed == pytest.approx(exact, abs=0.014)
    with pytest.raises(TaisError, match="larger than the discordance"):
        operate(Boundary(0.03, (99,)), 0.01, 0.02)


def _trinomial(n: int, b: int, c: int, half: float) -> float:
    from scipy.stats import multinomial

    return float(multinomial.pmf([b, c, n - b - c], n, [half, half, 1 - 2 * half]))
