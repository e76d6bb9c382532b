from __future__ import annotations

import itertools

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats import draft_pull as module
from tais.stats.draft_pull import draft_pull, poisson_binomial_tail, tie_chance


def test_the_tail_by_enumeration_of_all_outcomes() -> None:
    p = np.array([0.1, 0.5, 0.8, 0.3, 0.0, 1.0])
    for count in range(8):
        mass = sum(
            float(np.prod(np.where(hits, p, 1 - p)))
            for hits in itertools.product([True, False], repeat=6)
            if sum(hits) >= count
        )
        assert poisson_binomial_tail(p, count) == pytest.approx(mass, abs=1e-14)


def test_the_tail_of_equal_chances_is_binomial_far_out() -> None:
    from scipy.stats import binom

    assert poisson_binomial_tail(np.full(400, 0.2), 150) == pytest.approx(binom.sf(149, 400, 0.2), rel=1e-9)


def test_the_approximation_for_many_rows_meets_the_exact_tail() -> None:
    p = np.random.RandomState(0).random_sample(4000) * 0.3
    for count in (600, 640, 680):
        assert module._normal_tail(p, count) == pytest.approx(poisson_binomial_tail(p, count), rel=0.02)


def test_pull_and_its_interval() -> None:
    """Chance 0.2 in 200 rows and 72 matches: (72 - 40) / 160 = 0.2; Clopper-Pearson maps onto the pull."""
    from scipy.stats import beta

    matches = np.arange(200) < 72
    found = draft_pull(matches, np.full(200, 0.2))
    assert found.pull == pytest.approx(0.2)
    share = (beta.ppf(0.025, 72, 129), beta.ppf(0.975, 73, 128))
    assert found.pull_ci == pytest.approx(tuple((s - 0.2) / 0.8 for s in share), abs=1e-6)
    assert found.p < 1e-6


def test_matches_as_chance_gives_them_are_no_pull() -> None:
    random = np.random.RandomState(2)
    chance = random.random_sample(300) * 0.6
    counts = [int((random.random_sample(300) < chance).sum()) for _ in range(200)]
    found = [poisson_binomial_tail(chance, count) for count in counts]
    # 0.05 of 200 with four standard deviations, and conservative by discreteness.
    assert np.mean(np.array(found) < 0.05) <= 0.05 + 0.062


def test_all_matches_and_none() -> None:
    assert draft_pull([True] * 5, np.zeros(5)).p == 0.0
    everything = draft_pull([True] * 5, np.zeros(5))
    assert (everything.pull, everything.pull_ci[1]) == (1.0, 1.0)
    nothing = draft_pull([False] * 5, np.full(5, 0.3))
    assert (nothing.p, nothing.pull, nothing.pull_ci[0]) == (1.0, 0.0, 0.0)
    certain = draft_pull([True] * 5, np.ones(5))
    assert (certain.p, certain.pull) == (1.0, 0.0)


def test_chance_of_a_tie() -> None:
    assert tie_chance([1, 2, 0], [True, True, False]).tolist() == [1.0, 0.5, 0.0]
    with pytest.raises(TaisError, match="at least one"):
        tie_chance([0], [True])


@pytest.mark.parametrize(
    ("matches", "chance"), [([], []), ([True], [0.1, 0.2]), ([True], [1.5]), ([True], [np.nan])]
)
def test_bad_rows_are_refused(matches: list[bool], chance: list[float]) -> None:
    with pytest.raises(TaisError):
        draft_pull(matches, chance)
