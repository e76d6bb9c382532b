from __future__ import annotations

import numpy as np
import pytest

from tais.stats.paired_means import score_tost
from tais.stats.proportions import as_interval


def test_p_value_tends_to_the_paired_t_test() -> None:
    from scipy.stats import ttest_1samp

    d = np.random.RandomState(0).normal(0.004, 0.3, 5000)
    ours = score_tost(d, 0.02)
    lower = ttest_1samp(d, -0.02, alternative="greater").pvalue
    upper = ttest_1samp(d, 0.02, alternative="less").pvalue
    assert float(ours.p_lower) == pytest.approx(lower, abs=0.003)
    assert float(ours.p_upper) == pytest.approx(upper, abs=0.003)


def test_equal_scores_pass_from_88_clusters_on() -> None:
    assert not score_tost(np.zeros(87), 0.03).equivalent
    assert score_tost(np.zeros(88), 0.03).equivalent


def test_interval_and_test_agree() -> None:
    random = np.random.RandomState(4)
    for _ in range(50):
        d = random.normal(random.uniform(-0.03, 0.03), 0.1, 150)
        result = score_tost(d, 0.03)
        low, high = as_interval(result.ci)
        assert bool(result.equivalent) == (low > -0.03 and high < 0.03)


def test_size_at_the_margin_with_rare_large_changes() -> None:
    """One item in 33 falls by one: a t-interval alone passes far too often at n = 100."""
    random = np.random.RandomState(9)
    passed = sum(
        bool(score_tost(-(random.random_sample(100) < 0.03).astype(float), 0.03).equivalent)
        for _ in range(4000)
    )
    assert passed / 4000 <= 0.07


def test_non_inferiority_lets_the_candidate_be_better() -> None:
    d = np.full(200, 0.2) + np.random.RandomState(1).normal(0, 0.01, 200)
    assert not score_tost(d, 0.03).equivalent
    assert score_tost(d, 0.03, one_sided=True).equivalent
