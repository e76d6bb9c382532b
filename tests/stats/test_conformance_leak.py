from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.conformance.leak import Leak, LeakEstimate, Moments, minimum_detectable_leak
from tais.stats.proportions import FloatArray
from tais.stats.simulation.conformance import draw, simulate, toy_pair


def evidence(ratios: FloatArray, cluster: np.ndarray | None = None) -> Leak:
    """Tokens with these ratios q/p, each on a law of two cells of its own."""
    p = np.tile([0.25, 0.75], (len(ratios), 1))
    q = np.stack([ratios * 0.25, 1 - ratios * 0.25], axis=1)
    leak = Leak()
    clusters = np.arange(len(ratios)) if cluster is None else cluster
    leak.add(p, q, np.zeros(len(ratios), np.int64), clusters)
    return leak


def drawn(e: float, n: int = 3000, seed: int = 0) -> tuple[Leak, FloatArray]:
    random = np.random.RandomState(seed)
    p = random.dirichlet(np.ones(4), n)
    q = random.dirichlet(np.ones(4), n)
    mixed = np.cumsum((1 - e) * p + e * q, axis=1)
    given = (random.random_sample(n)[:, None] > mixed[:, :-1]).sum(axis=1)
    leak = Leak()
    ratios = leak.add(p, q, given, np.arange(n) // 30)
    return leak, ratios


@pytest.mark.parametrize("e", [0.0, 0.1, 0.5, 0.97])
def test_estimate_and_interval_agree_with_a_general_optimiser(e: float) -> None:
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2

    leak, ratios = drawn(e, seed=11)

    def loss(x: float) -> float:
        return -float(np.log(1 - x + x * ratios).sum())

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    found = leak.estimate()
    assert found.e == pytest.approx(best.x, abs=1e-5)
    for bound, edge in zip(found.ci, (0.0, 1.0), strict=True):
        if bound != edge:
            assert 2 * (loss(bound) - loss(found.e)) == pytest.approx(chi2.ppf(0.95, 1), rel=1e-4)
    if found.upper < 1:
        assert 2 * (loss(found.upper) - loss(found.e)) == pytest.approx(chi2.ppf(0.90, 1), rel=1e-4)
    assert found.ci[0] <= e <= found.ci[1]


def test_nothing_below_0_is_an_estimate_but_the_signed_one_says_so() -> None:
    found = evidence(np.full(50, 0.5)).estimate()
    assert (found.e, found.ci[0], found.lr_p) == (0.0, 0.0, 1.0)
    assert found.signed < 0
    assert found.score_p > 0.5


def test_without_a_draft_token_of_its_own_the_whole_is_a_leak() -> None:
    found = evidence(np.full(30, 3.0)).estimate()
    assert found.e == 1.0
    assert found.ci[1] == 1.0
    assert found.ci_clustered is None


def test_a_draft_equal_to_the_target_says_nothing() -> None:
    found = evidence(np.ones(100)).estimate()
    assert found.ci == (0.0, 1.0)
    assert found.upper == 1.0
    assert found.detectable is None


def test_a_token_that_the_draft_excludes_bounds_the_leak_below_1() -> None:
    """Two tokens of r = 0 and 3: slope -1/(1 - e) + 2/(1 + 2 e) = 0 at e = 1/4."""
    found = evidence(np.array([0.0, 3.0])).estimate()
    assert found.e == pytest.approx(0.25, abs=1e-7)
    assert found.ci[1] < 1


def test_the_boundary_halves_the_p_value_of_the_likelihood_ratio() -> None:
    from scipy.stats import chi2

    leak, ratios = drawn(0.1, 400, seed=3)
    found = leak.estimate()
    assert found.e > 0
    statistic = 2 * float(np.log(1 - found.e + found.e * ratios).sum())
    assert found.lr_p == pytest.approx(chi2.sf(statistic, 1) / 2)


def test_repeating_every_token_in_its_prompt_widens_the_clustered_interval() -> None:
    """Four copies quarter the naive variance and leave the clustered one as it was, but for G / (G - 1)."""
    # Slope 0.4 * 2 / (1 + 2 e) - 0.6 * 0.8 / (1 - 0.8 e) = 0 at e = 0.2.
    ratios = np.repeat([3.0, 0.2], [320, 480])
    once = evidence(ratios).estimate()
    copies = evidence(np.repeat(ratios, 4), np.repeat(np.arange(800), 4)).estimate()
    assert [once.e, copies.e] == pytest.approx([0.2, 0.2])
    assert once.ci_clustered is not None
    assert copies.ci_clustered is not None
    assert copies.ci_clustered == pytest.approx(once.ci_clustered, rel=1e-3)
    assert np.ptp(copies.ci) == pytest.approx(np.ptp(once.ci) / 2, rel=0.05)
    assert copies.signed_se_clustered == pytest.approx(once.signed_se_clustered, rel=1e-9)
    assert copies.signed_se == pytest.approx(once.signed_se / 2)


def test_information_is_fishers_where_nothing_is_clipped() -> None:
    """Without a clip gain^2 / variance is the chi-squared divergence of q from p, here summed over rows."""
    p, q = np.array([[0.5, 0.3, 0.2]] * 7), np.array([[0.3, 0.3, 0.4]] * 7)
    moments, gain = Moments().add(p, q, q / p)
    divergence = float(((q - p) ** 2 / p).sum())
    assert moments.gain**2 / moments.target_variance == pytest.approx(divergence)
    assert gain.sum() == pytest.approx(moments.gain)
    mixed = 0.8 * p + 0.2 * q
    exact = (mixed * (q / p) ** 2).sum() - ((mixed * q / p).sum(axis=1) ** 2).sum()
    assert moments.variance(0.2) == pytest.approx(exact)


@pytest.mark.slow
def test_the_detectable_leak_is_detected_nine_times_in_ten() -> None:
    pair = toy_pair()
    (one,) = simulate(pair, 4000, 1, seed=0)
    assert one.leak is not None
    assert one.leak.detectable is not None
    found = estimates(simulate(pair, 4000, 150, leak=one.leak.detectable, seed=8))
    # 0.9 with four standard deviations of 150 runs.
    assert np.mean([x.score_p < 0.05 for x in found]) == pytest.approx(0.9, abs=0.098)
    assert np.mean([x.signed for x in found]) == pytest.approx(one.leak.detectable, rel=0.1)


def estimates(results: list) -> list[LeakEstimate]:  # type: ignore[type-arg]
    return [r.leak for r in results]


def test_four_times_the_tokens_halve_the_detectable_leak() -> None:
    m = Moments(100.0, 500.0, 0.0, 0.0)
    four = Moments(400.0, 2000.0, 0.0, 0.0)
    # (1.64485 + 1.28155) sqrt(100) / 500
    assert minimum_detectable_leak(m) == pytest.approx(0.058528, rel=1e-4)
    assert minimum_detectable_leak(four) == pytest.approx(0.058528 / 2, rel=1e-4)
    assert minimum_detectable_leak(Moments(100.0, 5.0, 0.0, 0.0)) is None


@pytest.mark.slow
@pytest.mark.parametrize("leak", [0.0, 0.01, 0.03])
def test_intervals_cover(leak: float) -> None:
    found = estimates(simulate(toy_pair(), 10_000, 120, leak=leak, seed=21))
    # 0.95 less four standard deviations of 120 runs.
    assert np.mean([x.ci[0] <= leak <= x.ci[1] for x in found]) >= 0.95 - 0.08
    assert np.mean([leak <= x.upper for x in found]) >= 0.95 - 0.08
    clustered = [x.ci_clustered for x in found if x.ci_clustered is not None]
    assert np.mean([low <= leak <= high for low, high in clustered]) >= 0.95 - 0.095
    assert len(clustered) == 120


def test_no_token_no_estimate() -> None:
    with pytest.raises(TaisError, match="without tokens"):
        Leak().estimate()
    with pytest.raises(TaisError, match="confidence"):
        evidence(np.ones(3)).estimate(confidence=1.5)


def test_a_cell_that_only_the_draft_has_counts_as_the_clip() -> None:
    p, q = np.array([[0.6, 0.4, 0.0]]), np.array([[0.3, 0.3, 0.4]])
    leak = Leak()
    leak.add(p, q, np.array([0]), np.array([0]))
    assert leak.moments.gain == pytest.approx(
        0.3 * 0.5 + 0.3 * 0.75 + 0.4 * math.e**3 - (0.6 * 0.5 + 0.4 * 0.75), rel=1e-12
    )


def test_a_coarser_partition_gives_a_wider_interval_of_the_same_leak() -> None:
    pair, wide = toy_pair(), []
    for listed in (1, 7):
        laws = draw(pair, 20_000, np.random.RandomState(2), leak=0.2, listed=listed)
        from tais.stats.conformance.conformance import Conformance

        arm = Conformance(seed=0)
        arm.update(replace(laws))
        leak = arm.result().leak
        assert leak is not None
        assert leak.ci[0] <= 0.2 <= leak.ci[1]
        wide.append(np.ptp(leak.ci))
    assert wide[0] > 1.5 * wide[1]
