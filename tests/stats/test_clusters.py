from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.cluster_table import cluster_codes, fold_outcomes
from tais.stats.clusters import cluster_bootstrap, effective_n, resample_means
from tais.stats.paired import tango_interval, zero_discordance_bound
from tais.stats.proportions import as_interval


def test_bca_equals_that_of_scipy() -> None:
    from scipy.stats import bootstrap

    random = np.random.RandomState(7)
    # Skewed, so that the acceleration moves both ends by about 0.004.
    d = random.beta(0.2, 3, 40)
    ours = cluster_bootstrap(d, 0.9, 40_000).ci
    oracle = bootstrap((d,), np.mean, confidence_level=0.9, n_resamples=39_999, method="BCa", rng=random)
    low, high = oracle.confidence_interval
    assert ours == pytest.approx((low, high), abs=0.001)


def test_grouped_draws_have_the_spread_of_drawing_one_by_one() -> None:
    few = np.repeat([-1.0, 0.0, 1.0], [8, 180, 4])
    assert float(resample_means(few).std()) == pytest.approx(float(few.std() / np.sqrt(192)), rel=0.03)
    many = np.random.RandomState(0).normal(size=2000)
    assert float(resample_means(many, 2000).std()) == pytest.approx(
        float(many.std() / np.sqrt(2000)), rel=0.06
    )


def test_no_variance_falls_back_to_the_closed_form_and_five_clusters_never_pass() -> None:
    result = cluster_bootstrap(np.zeros(5), 0.9)
    half = float(zero_discordance_bound(5, 0.9))
    assert result.method == "score (no variance)"
    assert result.ci == pytest.approx((-half, half))
    assert half > 0.3


def test_copies_of_a_prompt_do_not_narrow_the_interval() -> None:
    reference = np.r_[np.ones(80), np.zeros(20)]
    candidate = reference.copy()
    candidate[:2] = 0
    once = fold_outcomes(reference, candidate, np.arange(100))
    codes = np.arange(100).repeat(7)
    seven = fold_outcomes(reference.repeat(7), candidate.repeat(7), codes)
    assert seven.clusters == 100
    assert seven.rows == (546, 14, 0, 140)
    narrow = as_interval(tango_interval(seven.table, 0.9))
    assert narrow == pytest.approx(as_interval(tango_interval(once.table, 0.9)), abs=1e-9)


def test_effective_n_counts_prompts_when_copies_agree_and_rows_when_they_do_not() -> None:
    random = np.random.RandomState(2)
    d = np.where(random.random_sample(400) < 0.1, random.choice([-1.0, 1.0], 400), 0.0)
    assert effective_n(d, float(np.abs(d).mean())) == pytest.approx(400, rel=0.02)
    independent = np.where(random.random_sample((400, 5)) < 0.1, random.choice([-1.0, 1.0], (400, 5)), 0.0)
    worth = effective_n(independent.mean(axis=1), float(np.abs(independent).mean()))
    assert worth == pytest.approx(2000, rel=0.15)
    assert effective_n(np.zeros(30), 0.0) == 30


@pytest.mark.slow
def test_score_interval_of_clusters_covers_at_least_its_nominal_level() -> None:
    """200 prompts of 4 samples, flips correlated within prompts, true difference 0."""
    random = np.random.RandomState(11)
    inside = 0
    for _ in range(400):
        rate = random.beta(0.1, 1.9, 200)[:, None]
        flips = random.random_sample((200, 4)) < rate
        up = random.random_sample((200, 4)) < 0.5
        reference = np.where(flips & up, 0.0, 1.0).ravel()
        candidate = np.where(flips & ~up, 0.0, 1.0).ravel()
        folded = fold_outcomes(reference, candidate, np.arange(200).repeat(4))
        low, high = as_interval(tango_interval(folded.table, 0.9))
        inside += low <= 0 <= high
    assert inside / 400 >= 0.88


def test_codes_number_labels_by_first_appearance() -> None:
    assert cluster_codes(np.array(["b", "a", "b", "c"])).tolist() == [0, 1, 0, 2]


def test_an_empty_bootstrap_is_refused() -> None:
    with pytest.raises(TaisError, match="at least one"):
        resample_means(np.array([]))
