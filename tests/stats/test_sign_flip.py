from __future__ import annotations

import time
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.null import sign_flip_p
from tais.stats.paired import mcnemar
from tais.stats.proportions import FloatArray
from tais.stats.sign_flip import attainable_mcnemar_p, sign_flip_test


def _all_sums(differences: FloatArray) -> FloatArray:
    signs = np.array(list(product((-1.0, 1.0), repeat=len(differences))))
    return np.abs(signs @ differences)


def _brute_force(differences: FloatArray) -> float:
    return float(np.mean(_all_sums(differences) >= abs(differences.sum()) - 1e-9))


@pytest.mark.parametrize("seed", range(12))
def test_p_is_the_share_of_all_sign_vectors(seed: int) -> None:
    """Cluster means of 1 to 7 rows."""
    random = np.random.RandomState(seed)
    sizes = random.randint(1, 8, 12)
    d = np.array([random.choice([-1, 0, 1], size=k, p=[0.3, 0.3, 0.4]).mean() for k in sizes])
    found = sign_flip_test(d)
    assert found.exact
    assert found.p == pytest.approx(_brute_force(d), abs=1e-9)
    changed = d[d != 0]
    assert found.attainable == pytest.approx(_brute_force(np.abs(changed)))
    assert found.clusters == len(changed)


def test_p_is_that_of_scipys_permutation_test() -> None:
    from scipy.stats import permutation_test

    d = np.array([0.5, 0.25, -0.75, 1.0, 0.5, -0.25, 1.0])
    oracle = permutation_test(
        (d, np.zeros(7)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_test(d).p == pytest.approx(oracle.pvalue, abs=1e-9)


@pytest.mark.parametrize(("down", "up"), [(0, 0), (1, 0), (5, 5), (9, 1), (14, 1), (0, 30), (60, 45)])
def test_clusters_of_one_item_are_mcnemars_exact_test(down: int, up: int) -> None:
    from scipy.stats import binomtest

    found = sign_flip_test(np.repeat([-1.0, 1.0, 0.0], [down, up, 100]))
    assert found.p == pytest.approx(float(mcnemar(down, up, mid_p=False)), abs=1e-11)
    assert found.p == pytest.approx(binomtest(up, down + up).pvalue if down + up else 1.0, abs=1e-11)
    assert found.attainable == float(attainable_mcnemar_p(down + up))


def test_attainable_p_is_that_of_all_flips_one_way() -> None:
    flips = np.arange(60)
    assert attainable_mcnemar_p(flips) == pytest.approx(mcnemar(flips, np.zeros(60), mid_p=False))
    assert attainable_mcnemar_p([0, 1, 2, 6]).tolist() == [1.0, 1.0, 0.5, 0.03125]


def test_scores_without_a_common_denominator_are_rounded_and_stay_valid() -> None:
    d = np.random.RandomState(4).normal(0.1, 0.3, 10)
    found = sign_flip_test(d)
    assert not found.exact
    assert found.p == pytest.approx(_brute_force(d), abs=0.01)
    # All 2^10 signs of the same sizes: a valid test rejects at t in at most a share t of them.
    signs = np.array(list(product((-1.0, 1.0), repeat=10)))
    # The second half mirrors the first.
    p = np.array([sign_flip_test(row).p for row in signs[:512] * np.abs(d)])
    for level in (0.005, 0.01, 0.05, 0.1, 0.5):
        assert np.mean(p <= level) <= level


def test_random_signs_agree() -> None:
    random = np.random.RandomState(6)
    d = np.concatenate([random.choice([-1.0, 1.0], 40, p=[0.65, 0.35]) / 3, random.normal(-0.05, 0.3, 80)])
    # Standard error of 100,000 random signs at most 0.0016.
    assert sign_flip_test(d).p == pytest.approx(sign_flip_p(d, 100_000), abs=0.005)


@pytest.mark.parametrize("n", [120, 3000, 100_000])
def test_many_clusters_agree_with_the_normal_limit_and_are_fast(n: int) -> None:
    random = np.random.RandomState(9)
    started = time.process_time()
    for d in (random.choice([-1.0, 0.0, 1.0], n), random.random_sample(n) - 0.5):
        shifted = np.abs(d) * np.where(random.random_sample(n) < 0.5 + 0.9 / np.sqrt(n), 1, -1)
        z = abs(shifted.sum()) / np.sqrt((d**2).sum())
        # The lattice of the first has steps of 2: its tail begins one step below the observed sum.
        continuity = 0.0 if len(np.unique(np.abs(d))) > 2 else 1 / np.sqrt((d**2).sum())
        assert sign_flip_test(shifted).p == pytest.approx(2 * NormalDist().cdf(continuity - z), rel=0.05)
    assert time.process_time() - started < 2


def test_all_in_one_direction_is_beyond_any_level() -> None:
    assert sign_flip_test(np.ones(5000) / 3).p < 1e-11


def test_small_scores_are_not_rounded_away() -> None:
    d = np.array([1e-4, 2.5e-4, 1.7e-4, 3.1e-4, 0.9e-4, 2.2e-4])
    assert sign_flip_test(d).p == pytest.approx(2 / 2**6, abs=1e-9)


def test_nothing_that_differs_is_no_evidence() -> None:
    found = sign_flip_test(np.zeros(50))
    assert (found.p, found.attainable, found.clusters) == (1.0, 1.0, 0)
    assert sign_flip_test([]).p == 1.0


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [[1.0, 0.0]], [np.inf]])
def test_differences_that_are_none_are_refused(bad: object) -> None:
    with pytest.raises(TaisError, match="finite difference"):
        sign_flip_test(np.asarray(bad))


@pytest.mark.parametrize("bad", [-1, 2.5])
def test_flips_are_whole(bad: float) -> None:
    with pytest.raises(TaisError, match="whole numbers"):
        attainable_mcnemar_p(bad)
