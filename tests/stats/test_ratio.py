from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.paired import PairedTable
from tais.stats.proportions import as_interval
from tais.stats.ratio import difference_margin, ratio_interval, ratio_statistic, ratio_tost


def test_statistic_uses_the_restricted_likelihood_maximum() -> None:
    """Variance theta (p10 + p01) / n, maximised numerically under p1 = theta p2."""
    from scipy.optimize import minimize

    theta, (both_unsafe, new, old, safe) = 1.4, (20.0, 12.0, 7.0, 161.0)
    n = 200.0

    def minus_log_likelihood(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        p2, p01 = x
        p11 = p2 - p01
        p10 = theta * p2 - p11
        p00 = 1 - p11 - p10 - p01
        cells = np.maximum([p11, p10, p01, p00], 1e-12)
        return -float((np.array([both_unsafe, new, old, safe]) * np.log(cells)).sum())

    p2, p01 = minimize(minus_log_likelihood, [0.15, 0.04], method="Nelder-Mead", options={"xatol": 1e-9}).x
    p10 = theta * p2 - (p2 - p01)
    expected = (32 / n - theta * 27 / n) / np.sqrt(theta * (p10 + p01) / n)
    found = float(ratio_statistic(PairedTable(safe, new, old, both_unsafe), theta))
    assert found == pytest.approx(expected, abs=1e-4)


def test_statistic_at_one_is_mcnemar() -> None:
    # Score test of equal marginals: (b - c) / sqrt(b + c).
    found = float(ratio_statistic(PairedTable(100, 12, 5, 30), 1.0))
    assert found == pytest.approx(7 / np.sqrt(17))


def test_interval_inverts_the_statistic_and_mirrors() -> None:
    table = PairedTable(161, 12, 7, 20)
    low, high = as_interval(ratio_interval(table, 0.9))
    assert float(ratio_statistic(table, low)) == pytest.approx(1.644854, abs=1e-5)
    swapped = as_interval(ratio_interval(PairedTable(161, 7, 12, 20), 0.9))
    assert swapped == pytest.approx((1 / high, 1 / low), rel=1e-6)


def test_identical_arms_pass_once_enough_unsafe_outcomes_stand_behind_it() -> None:
    # Without discordance Z(1 + m) = sqrt(u m) for u unsafe outcomes, so z^2 / m = 10.8 are needed.
    assert not ratio_tost(PairedTable(1000, 0, 0, 10), 0.25).equivalent
    assert ratio_tost(PairedTable(1000, 0, 0, 11), 0.25).equivalent


def test_without_an_unsafe_outcome_nothing_is_known() -> None:
    result = ratio_tost(PairedTable(1000, 0, 0, 0), 0.25)
    assert float(result.p) == 0.5
    assert not result.equivalent
    assert as_interval(result.ci) == pytest.approx((1e-4, 1e4), rel=1e-6)


def test_margins_offered_at_a_ceiling() -> None:
    # 0.5 % unsafe times 1.25; odds 1.25 * .005 / .995 back to a rate.
    assert difference_margin(0.995, 1.25) == pytest.approx(0.00125)
    odds = 1.25 * 0.005 / 0.995
    assert difference_margin(0.995, 1.25, odds=True) == pytest.approx(odds / (1 + odds) - 0.005)


def test_a_ratio_needs_a_margin() -> None:
    with pytest.raises(TaisError, match="above 0"):
        ratio_tost(PairedTable(10, 0, 0, 1), 0.0)
