"""The marginal odds ratio of two arms over batteries."""

from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.marginal import marginal_odds_ratio
from tais.stats.paired import mcnemar, mcnemar_fall
from tais.stats.proportions import FloatArray


def stratum(both: int, down: int, up: int, neither: int) -> tuple[FloatArray, FloatArray]:
    counts = (both, down, up, neither)
    return np.repeat([1.0, 1.0, 0.0, 0.0], counts), np.repeat([1.0, 0.0, 1.0, 0.0], counts)


def test_it_is_the_gee_of_statsmodels() -> None:
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_estimating_equations import GEE

    strata = [stratum(170, 9, 4, 17), stratum(150, 20, 12, 118)]
    sizes = [len(reference) for reference, _ in strata]
    outcome = np.concatenate([*(r for r, _ in strata), *(c for _, c in strata)])
    battery = np.tile(np.repeat([0, 1], sizes), 2)
    design = np.column_stack([np.repeat([0.0, 1.0], sum(sizes)), battery == 0, battery == 1]).astype(float)
    groups = np.tile(np.arange(sum(sizes)), 2)
    oracle = GEE(outcome, design, groups=groups, family=Binomial(), cov_struct=Independence()).fit()
    found = marginal_odds_ratio(strata, 0.9)
    assert found is not None
    assert found.ci is not None
    assert found.estimate == pytest.approx(np.exp(oracle.params[0]), rel=1e-6)
    assert found.ci == pytest.approx(np.exp(oracle.conf_int(0.1)[0]), rel=1e-5)


def test_a_constant_battery_changes_nothing() -> None:
    some, constant = stratum(80, 12, 3, 5), stratum(60, 0, 0, 0)
    one, two = marginal_odds_ratio([some], 0.9), marginal_odds_ratio([some, constant], 0.9)
    assert one is not None
    assert two is not None
    assert one.estimate == pytest.approx(two.estimate)
    # By hand: (83 / 17) / (92 / 8).
    assert one.estimate == pytest.approx(83 / 17 * 8 / 92)


def test_nothing_finite_is_said_where_an_arm_has_no_failure() -> None:
    assert marginal_odds_ratio([stratum(90, 10, 0, 0), stratum(95, 5, 0, 0)], 0.9) is None
    assert marginal_odds_ratio([stratum(90, 0, 0, 0)], 0.9) is None
    assert marginal_odds_ratio([], 0.9) is None


def test_few_changes_have_a_ratio_without_an_interval() -> None:
    found = marginal_odds_ratio([stratum(80, 3, 2, 15)], 0.9)
    assert found is not None
    assert found.ci is None


def test_arms_of_unequal_length_are_refused() -> None:
    with pytest.raises(TaisError, match="one length"):
        marginal_odds_ratio([(np.ones(3), np.ones(2))], 0.9)


def test_the_one_sided_test_is_half_the_two_sided_one_on_its_side() -> None:
    from scipy.stats import binomtest

    for down, up in [(5, 1), (1, 5), (12, 12), (0, 3), (30, 11)]:
        expected = binomtest(down, down + up, 0.5, alternative="greater").pvalue
        assert mcnemar_fall(down, up) == pytest.approx(expected)
    assert mcnemar_fall(9, 2) == pytest.approx(float(mcnemar(9, 2, mid_p=False)) / 2)
    assert mcnemar_fall(0, 0) == 1.0
