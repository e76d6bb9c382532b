from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.paired import PairedTable, mcnemar, tango_interval, tango_statistic, tost
from tais.stats.paired_means import means_to_decide, score_tost
from tais.stats.power import discordant_grid, n_for_scores, power, zero_discordance_floor
from tais.stats.sample_size import (
    EndpointDesign,
    decision_power,
    items_by_scores,
    items_to_decide,
    items_to_stand_out,
    joint_power,
)

DRAWS = 20_000
FOUR_ERRORS = 0.012
"""Four standard errors of a share of 0.8 among the draws."""


def _drawn(n: int, discordance: float, difference: float, seed: int = 0) -> PairedTable:
    down, up = (discordance - difference) / 2, (discordance + difference) / 2
    cells = [1 - discordance, down, up, 0.0]
    return PairedTable(*np.random.RandomState(seed).multinomial(n, cells, DRAWS).T.astype(float))


@pytest.mark.parametrize(
    ("discordance", "difference"), [(0.0, 0.0), (0.01, 0.0), (0.05, -0.02), (0.2, 0.01), (1.0, 0.0)]
)
@pytest.mark.parametrize("non_inferiority", [False, True])
def test_power_is_that_of_the_sum_over_all_tables(
    discordance: float, difference: float, non_inferiority: bool
) -> None:
    sizes = np.array([50, 88, 200, 468])
    ours = decision_power(sizes, 0.03, discordance, difference, non_inferiority=non_inferiority)
    oracle = [
        power(n, 0.03, discordance, difference, non_inferiority=non_inferiority) for n in sizes.tolist()
    ]
    assert ours == pytest.approx(oracle, abs=1e-8)


@pytest.mark.parametrize(
    ("discordance", "difference", "non_inferiority"),
    [(0.02, 0.0, False), (0.05, 0.0, True), (0.05, -0.01, False), (0.08, 0.02, True)],
)
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_so_many_items_pass_as_often_as_said(
    discordance: float, difference: float, non_inferiority: bool, wanted: float
) -> None:
    n = items_to_decide(discordance, difference, 0.03, power=wanted, non_inferiority=non_inferiority)
    assert n is not None
    test = tost(_drawn(n, discordance, difference), 0.03, one_sided=non_inferiority)
    assert float(test.equivalent.mean()) > wanted - FOUR_ERRORS


@pytest.mark.parametrize(
    ("discordance", "difference", "non_inferiority"),
    [(0.12, -0.1, False), (0.3, 0.1, False), (0.12, -0.08, True)],
)
def test_beyond_the_margin_so_many_items_fail_as_often_as_said(
    discordance: float, difference: float, non_inferiority: bool
) -> None:
    n = items_to_decide(discordance, difference, 0.03, power=0.8, non_inferiority=non_inferiority)
    assert n is not None
    low, high = tango_interval(_drawn(n, discordance, difference), 0.9)
    fails = high < -0.03 if non_inferiority else (high < -0.03) | (low > 0.03)
    assert float(fails.mean()) == pytest.approx(
        float(decision_power(n, 0.03, discordance, difference, non_inferiority=non_inferiority, fail=True)),
        abs=FOUR_ERRORS,
    )
    assert float(fails.mean()) > 0.8 - FOUR_ERRORS


@pytest.mark.parametrize(
    ("discordance", "difference", "margin"),
    [(0.001, 0.0, 0.03), (0.01, 0.0, 0.03), (0.05, 0.0, 0.03), (0.06, -0.01, 0.05), (0.12, -0.1, 0.03)],
)
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_no_larger_number_has_less_and_one_less_is_short(
    discordance: float, difference: float, margin: float, wanted: float
) -> None:
    n = items_to_decide(discordance, difference, margin, power=wanted)
    assert n is not None
    fail = abs(difference) > margin
    found = decision_power(np.arange(n - 1, 3 * n), margin, discordance, difference, fail=fail)
    assert found[0] < wanted
    assert found[1:].min() >= wanted


@pytest.mark.parametrize(
    ("discordance", "few", "many"),
    [(0.0005, 88, 88), (0.001, 88, 147), (0.002, 147, 147), (0.004, 147, 147), (0.005, 147, 199)],
)
def test_where_flips_are_rare_the_number_is_that_of_full_enumeration(
    discordance: float, few: int, many: int
) -> None:
    """From here on the power stays reached: sums over all tables of n = 60 to 419 (flips < 14)."""
    assert [items_to_decide(discordance, 0.0, 0.03, power=wanted) for wanted in (0.8, 0.9)] == [few, many]


def test_the_number_at_which_the_proportions_just_decide_has_a_power_of_one_half() -> None:
    """What was called "the n that decides" before."""
    table = PairedTable(190, 5, 5, 0)
    before = n_for_scores(200, *(float(tango_statistic(table, m)) for m in (-0.03, 0.03)))
    n = items_to_decide(0.05, 0.0, 0.03)
    assert before is not None
    assert n is not None
    assert float(decision_power(before, 0.03, 0.05)) < 0.35
    one_sided = float(decision_power(before, 0.03, 0.05, non_inferiority=True))
    assert one_sided == pytest.approx(0.5, abs=0.15)
    assert n > 1.5 * before


def test_more_flips_more_power_and_less_margin_need_more() -> None:
    by_flips = [_items(psi, 0.03, 0.8) for psi in (0.0, 0.002, 0.01, 0.02, 0.05, 0.1)]
    by_power = [_items(0.03, 0.03, wanted) for wanted in (0.5, 0.7, 0.8, 0.9, 0.95)]
    by_margin = [_items(0.03, margin, 0.8) for margin in (0.1, 0.05, 0.03, 0.02)]
    for found in (by_flips, by_power, by_margin):
        assert all(a <= b for a, b in pairwise(found))
    one_sided = items_to_decide(0.05, 0.0, 0.03, non_inferiority=True)
    assert one_sided is not None
    assert one_sided < _items(0.05, 0.03, 0.8)


def _items(discordance: float, margin: float, wanted: float) -> int:
    n = items_to_decide(discordance, 0.0, margin, power=wanted)
    assert n is not None
    return n


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.1])
def test_without_flips_the_floor_decides(margin: float) -> None:
    for wanted in (0.8, 0.9):
        assert items_to_decide(0.0, 0.0, margin, power=wanted) == zero_discordance_floor(margin)


@pytest.mark.parametrize("difference", [-0.03, 0.03, -0.0301])
def test_at_the_margin_no_number_decides(difference: float) -> None:
    assert items_to_decide(0.05, difference, 0.03) is None


def test_a_better_candidate_is_not_beyond_the_margin_of_non_inferiority() -> None:
    n = items_to_decide(0.08, 0.05, 0.03, non_inferiority=True)
    assert n is not None
    assert float(decision_power(n, 0.03, 0.08, 0.05, non_inferiority=True)) >= 0.8


@pytest.mark.parametrize(("psi", "expected"), [(0.01, 0.79), (0.02, 0.41), (0.05, 0.03)])
def test_xstest_alone_passes_as_rarely_as_was_reported(psi: float, expected: float) -> None:
    """Two strata counted as 200 and 222 units, one contrast, no A/A."""
    strata = [EndpointDesign(n, 0.03, psi) for n in (200, 222)]
    assert joint_power(strata) == pytest.approx(expected, abs=0.005)
    # By clusters (168 and 196) and with one A/A contrast it is less.
    clusters = [EndpointDesign(n, 0.03, psi) for n in (168, 196)]
    assert joint_power(clusters, 1, 1) < joint_power(strata)


def test_joint_power_of_independent_contrasts_by_simulation() -> None:
    endpoints = [EndpointDesign(250, 0.03, 0.02), EndpointDesign(400, 0.03, 0.05, non_inferiority=True)]
    passed = np.ones(DRAWS, dtype=bool)
    for seed, (e, one_sided) in enumerate(
        [(endpoints[0], False)] * 3 + [(endpoints[1], True)] * 2 + [(endpoints[1], False)]
    ):
        drawn = _drawn(e.n, e.discordance, 0.0, seed)
        passed &= tost(drawn, e.margin, e.alpha, one_sided=one_sided).equivalent
    assert joint_power(endpoints, 2, 1) == pytest.approx(float(passed.mean()), abs=0.014)


def test_a_shared_reference_makes_a_joint_pass_rather_more_likely() -> None:
    from tais.stats.simulation.screen import Battery, joint_pass

    simulated = joint_pass([Battery(250, 0.8, 0.05)], 4, 0.03, 0.05, DRAWS, seed=5)
    independent = joint_power([EndpointDesign(250, 0.03, 0.05)], 4)
    assert simulated > independent


def test_an_empty_screen_passes_and_a_negative_one_is_refused() -> None:
    assert joint_power([]) == 1.0
    with pytest.raises(TaisError, match="negative"):
        joint_power([], -1)


@pytest.mark.parametrize(
    ("n", "margin", "psi", "difference", "alpha"),
    [
        (0, 0.03, 0.02, 0.0, 0.05),
        (9, 1.0, 0.02, 0.0, 0.05),
        (9, 0.03, 0.01, 0.02, 0.05),
        (9, 0.03, 0.1, 0, 0.6),
    ],
)
def test_impossible_designs_are_refused(
    n: int, margin: float, psi: float, difference: float, alpha: float
) -> None:
    with pytest.raises(TaisError, match=r"margin|discordance"):
        decision_power(n, margin, psi, difference, alpha)


def test_a_power_is_a_probability() -> None:
    with pytest.raises(TaisError, match="power"):
        items_to_decide(0.02, 0.0, 0.03, power=1.0)


@pytest.mark.parametrize(("discordance", "difference"), [(0.12, -0.1), (0.2, 0.08), (0.05, -0.04)])
@pytest.mark.parametrize("level", [0.05, 0.05 / 12, 0.05 / 180])
def test_a_fail_that_must_stand_among_others_needs_both_tests(
    discordance: float, difference: float, level: float
) -> None:
    """Oracle: the sum over all tables, each judged by the interval and by the exact McNemar test."""
    for n in (60, 130, 300):
        tables, mass = discordant_grid(n, discordance, difference)
        low, high = tango_interval(tables, 0.9)
        _, down, up, _ = tables.cells()
        hit = ((high < -0.03) | (low > 0.03)) & (mcnemar(down, up, mid_p=False) < level)
        ours = float(decision_power(n, 0.03, discordance, difference, fail=True, level=level))
        assert ours == pytest.approx(float((mass * hit).sum()), abs=1e-8)


def test_more_endpoints_need_more_items_to_fail_and_no_more_to_pass() -> None:
    alone, few, many = (items_to_decide(0.12, -0.1, 0.03, level=0.05 / m) for m in (1, 12, 180))
    assert alone is not None
    assert few is not None
    assert many is not None
    assert alone < few < many
    assert items_to_decide(0.05, 0.0, 0.03, level=0.05 / 180) == items_to_decide(0.05, 0.0, 0.03)


@pytest.mark.parametrize(("discordance", "difference"), [(0.012, -0.012), (0.1, 0.06), (0.3, -0.1)])
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_so_many_items_stand_out_as_often_as_said(
    discordance: float, difference: float, wanted: float
) -> None:
    level = 0.05 / 12
    n = items_to_stand_out(discordance, difference, level, wanted)
    assert n is not None
    _, down, up, _ = _drawn(n, discordance, difference).cells()
    assert float((mcnemar(down, up, mid_p=False) < level).mean()) > wanted - FOUR_ERRORS
    _, down, up, _ = _drawn(n - n // 10, discordance, difference).cells()
    assert float((mcnemar(down, up, mid_p=False) < level).mean()) < wanted + FOUR_ERRORS
    assert items_to_stand_out(discordance, 0.0, level, wanted) is None


@pytest.mark.parametrize(("discordance", "difference"), [(0.2, 0.0), (0.2, -0.01), (0.3, -0.1)])
@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_scores_of_any_scale_give_nearly_the_items_of_the_sum(
    discordance: float, difference: float, wanted: float
) -> None:
    down, up = (discordance - difference) / 2, (discordance + difference) / 2
    table = PairedTable(1000 * (1 - discordance), 1000 * down, 1000 * up, 0)
    worse, better = (float(tango_statistic(table, m)) for m in (-0.03, 0.03))
    n, exact = items_by_scores(1000, worse, better, power=wanted), items_to_decide(
        discordance, difference, 0.03, power=wanted
    )  # fmt: skip
    assert n == pytest.approx(exact, rel=0.06)
    assert items_by_scores(100, 0.0, -3.0) is None


def test_so_many_scores_decide_as_often_as_said() -> None:
    random = np.random.RandomState(2)
    seen = random.normal(0.0, 0.2, 400)
    seen -= seen.mean()
    for mean, wanted in ((0.0, 0.8), (-0.01, 0.9), (-0.06, 0.8)):
        n = means_to_decide(seen + mean, 0.03, power=wanted)
        assert n is not None
        drawn = random.normal(mean, seen.std(ddof=1), (2000, n))
        tests = [score_tost(row, 0.03) for row in drawn]
        hits = [bool(t.equivalent) if abs(mean) < 0.03 else float(t.ci[1]) < -0.03 for t in tests]
        assert float(np.mean(hits)) == pytest.approx(wanted, abs=0.04)
    assert means_to_decide(np.zeros(50), 0.03) == zero_discordance_floor(0.03)
    # No number of equal losses stands among 180 endpoints before the signs can.
    assert means_to_decide(np.full(9, -0.9), 0.03, level=0.05 / 180) == 13
