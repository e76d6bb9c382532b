from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.paired import mcnemar
from tais.stats.proportions import FloatArray
from tais.stats.regions import Setting
from tais.stats.sign_flip import attainable_mcnemar_p
from tais.stats.simulation.screen import Battery, screens_of_equal_stacks
from tais.stats.tarone import tarone_holm

ALPHA = 0.05


def _family(random: np.random.RandomState, tests: int) -> tuple[FloatArray, FloatArray]:
    """McNemar tests with random flips: p-values and what they can attain."""
    flips = random.randint(0, 14, tests)
    down = random.binomial(flips, 0.7)
    return mcnemar(down, flips - down, mid_p=False), attainable_mcnemar_p(flips)


def _closed(p: FloatArray, least: FloatArray) -> list[float]:
    """Adjusted p-values by closing Tarone's test of an intersection over all of its subsets."""
    tests = range(len(p))
    sets = [s for k in range(1, len(p) + 1) for s in combinations(tests, k)]

    def intersection(members: Sequence[int]) -> float:
        return min(float(p[i]) * sum(bool(least[j] <= p[i]) for j in members) for i in members)

    local = {s: intersection(s) for s in sets}
    return [min(1.0, max(value for s, value in local.items() if i in s)) for i in tests]


@pytest.mark.parametrize("seed", range(25))
def test_stepping_down_is_the_closed_test_over_all_subsets(seed: int) -> None:
    p, least = _family(np.random.RandomState(seed), 1 + seed % 7)
    assert tarone_holm(p, least) == pytest.approx(_closed(p, least))


def test_where_every_level_is_attainable_it_is_holm() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.RandomState(3).random_sample(40) ** 3
    assert tarone_holm(p, np.zeros(40)) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize("seed", range(10))
def test_it_rejects_all_that_tarone_rejects_in_one_step(seed: int) -> None:
    """Tarone (1990): K is the least k with at most k tests that can attain alpha / k."""
    random = np.random.RandomState(seed)
    for _ in range(40):
        p, least = _family(random, 12)
        k = next(k for k in range(1, 13) if np.sum(least <= ALPHA / k) <= k)
        assert np.all((tarone_holm(p, least) <= ALPHA)[p <= ALPHA / k])


def test_identical_arms_and_single_flips_cost_nothing() -> None:
    p = mcnemar(np.array([14.0, 9.0]), np.array([1.0, 0.0]), mid_p=False)
    least = attainable_mcnemar_p(np.array([15, 9]))
    alone = tarone_holm(p, least)
    quiet = attainable_mcnemar_p(np.array([0] * 100 + [1] * 50 + [3] * 28))
    diluted = tarone_holm(np.concatenate([p, quiet]), np.concatenate([least, quiet]))
    assert diluted[:2] == pytest.approx(alone)
    # Holm's method would count all 180.
    assert float(p[0]) * 180 > 0.1 > ALPHA > float(diluted[0])


def test_by_hand() -> None:
    # Flips 10:0, 8:1, 3:0, 0:0. p = 2/1024, 2 * 10/512, 2/8, 1; the least are 2/1024, 2/512, 2/8, 1.
    p, least = [2 / 1024, 20 / 512, 0.25, 1.0], [2 / 1024, 2 / 512, 0.25, 1.0]
    # At the smallest p only the first can be as small; the second is alone from there on; the third, too.
    assert tarone_holm(p, least) == pytest.approx([2 / 1024, 20 / 512, 0.25, 1.0])
    # Two of the first kind: each is counted for the other.
    twice = tarone_holm([2 / 1024, 2 / 1024, 0.25], [2 / 1024, 2 / 1024, 0.25])
    assert twice == pytest.approx([4 / 1024, 4 / 1024, 0.25])


@pytest.mark.parametrize("flips", [(4, 7, 10), (6, 6, 6), (9, 10, 11), (1, 12, 5)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_family_wise_error_of_small_families_by_enumeration(flips: tuple[int, ...], alpha: float) -> None:
    """All outcomes of three tests whose flips go either way alike."""
    from scipy.stats import binom

    least = attainable_mcnemar_p(np.array(flips))
    outcomes = list(product(*(range(f + 1) for f in flips)))
    down = np.array(outcomes, dtype=np.float64)
    adjusted = tarone_holm(mcnemar(down, np.array(flips) - down, mid_p=False), np.tile(least, (len(down), 1)))
    mass = np.prod(binom.pmf(down, np.array(flips), 0.5), axis=1)
    rejects = adjusted <= alpha
    assert mass.sum() == pytest.approx(1)
    assert mass[rejects.any(axis=1)].sum() <= alpha
    # Strong control: where the first endpoint is truly worse, the error among the other two.
    shifted = binom.pmf(down[:, 0], flips[0], 0.95) * mass / binom.pmf(down[:, 0], flips[0], 0.5)
    assert shifted[rejects[:, 1:].any(axis=1)].sum() <= alpha


@pytest.mark.parametrize(
    "batteries",
    [[Battery(100, 0.8, 0.05)] * 6, [Battery(100, 0.97, 0.058)] * 6, [Battery(300, 0.5, 0.5)] * 6],
    ids=["middle", "ceiling", "coin"],
)
def test_family_wise_error_of_contrasts_with_one_reference(batteries: list[Battery]) -> None:
    """By simulation; two standard errors of 4,000 screens are 0.007 at 0.05."""
    found = screens_of_equal_stacks(batteries, 5, Setting(0.03, ALPHA, 0.1), 4000, seed=11)
    assert found.adjusted_p_alone <= ALPHA
    assert found.adjusted <= found.adjusted_p_alone


def test_adjusted_values_are_monotone_and_between_p_and_holm() -> None:
    random = np.random.RandomState(8)
    rows = [_family(random, 9) for _ in range(200)]
    p, least = (np.stack(x) for x in zip(*rows, strict=True))
    adjusted = tarone_holm(p, least)
    assert np.all((p <= adjusted) & (adjusted <= 1))
    assert np.all(adjusted <= tarone_holm(p, np.zeros_like(p)))
    order = np.argsort(p, axis=1)
    assert np.all(np.diff(np.take_along_axis(adjusted, order, 1), axis=1) >= 0)
    one_by_one = np.stack([tarone_holm(*row) for row in rows])
    assert adjusted == pytest.approx(one_by_one)


def test_a_family_without_tests_is_empty() -> None:
    assert tarone_holm([], []).shape == (0,)


@pytest.mark.parametrize(
    ("p", "least"), [([0.5], [0.6]), ([1.2], [0.1]), ([0.5], [-0.1]), ([np.nan], [0.1]), ([0.5, 0.4], [0.1])]
)
def test_impossible_p_values_are_refused(p: list[float], least: list[float]) -> None:
    with pytest.raises(TaisError, match="attainable"):
        tarone_holm(p, least)
