from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tais.manifest.model import Role, Rules
from tais.stats.paired_means import Moments, score_tost
from tais.stats.proportions import as_interval
from tais.stats.regions import Setting, mean_regions
from tais.stats.simulation.clusters import WORLDS, cluster_passes
from tais.verdict.endpoint import judge_endpoint
from tests.stats.made import outcomes


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
    falls = -(random.random_sample((4000, 100)) < 0.03).astype(float)
    moments = Moments.of_sums(100, *((falls**k).sum(axis=1) for k in (1, 2, 3)))
    passed = mean_regions(moments, Setting(0.03, 0.05, 0.1))[0].sum()
    assert passed / 4000 <= 0.07


def test_non_inferiority_lets_the_candidate_be_better() -> None:
    d = np.full(200, 0.2) + np.random.RandomState(1).normal(0, 0.01, 200)
    assert not score_tost(d, 0.03).equivalent
    assert score_tost(d, 0.03, one_sided=True).equivalent


def test_repeats_of_equal_stacks_pass_and_a_loss_of_the_margin_does_not() -> None:
    """500 prompts of 8 rows that flip either way: as clusters of one draw they never passed."""
    assert cluster_passes("rates", 500, 0.0, screens=400) > 0.93
    for world in WORLDS:
        # The standard error at 0.05 is 0.007.
        assert cluster_passes(world, 500, 0.03, unequal=True, screens=1000) <= 0.07


@pytest.mark.parametrize("repeats", [1, 4])
def test_a_declaration_as_scores_changes_nothing_for_outcomes(repeats: int) -> None:
    random = np.random.RandomState(5)
    reference = (random.random_sample(300 * repeats) < 0.8).astype(float)
    candidate = np.where(random.random_sample(300 * repeats) < 0.05, 1 - reference, reference)
    one = outcomes(reference, candidate, clusters=np.repeat(np.arange(300), repeats).astype(str))
    rules = Rules(h_cutoff=1.0)
    binary, scores = (
        judge_endpoint(replace(one, kind=k), rules, Role.screen).report for k in ("binary", "continuous")
    )
    assert binary.tost is not None
    assert binary.tost.method == ("tango" if repeats == 1 else "cluster-score")
    assert binary.tost == scores.tost
    assert binary.verdict == scores.verdict
