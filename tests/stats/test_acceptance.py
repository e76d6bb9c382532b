from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.acceptance import acceptance_by_position, too_rarely_accepted


def test_each_position_counts_the_drafts_that_reached_it() -> None:
    found = acceptance_by_position(1000, [800, 600, 300])
    assert found.trials.tolist() == [1000, 800, 600]
    assert found.rate == pytest.approx([0.8, 0.75, 0.5])


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_bounds_are_wilsons(confidence: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = acceptance_by_position(1000, [800, 600, 300], confidence)
    low, high = proportion_confint([800, 600, 300], [1000, 800, 600], 1 - confidence, "wilson")
    assert found.lower == pytest.approx(low)
    assert found.upper == pytest.approx(high)


def test_drafts_that_are_never_accepted_are_caught_at_once() -> None:
    found = acceptance_by_position(33_715, [0, 0])
    assert found.upper[0] < 2e-4
    # Never reached: nothing is known of the second position.
    assert (found.lower[1], found.upper[1]) == (0.0, 1.0)
    assert np.isnan(found.rate[1])
    assert too_rarely_accepted(found, 0.1).tolist() == [True, False]


def test_a_rate_is_violated_only_beyond_its_upper_bound() -> None:
    few, many = acceptance_by_position(20, [11]), acceptance_by_position(2000, [1100])
    assert too_rarely_accepted(few, 0.6).tolist() == [False]
    assert too_rarely_accepted(many, 0.6).tolist() == [True]
    assert too_rarely_accepted(many, [0.5]).tolist() == [False]


def test_wanted_rates_bind_the_first_positions() -> None:
    found = acceptance_by_position(1000, [800, 600, 300])
    assert too_rarely_accepted(found, [0.9, 0.7]).tolist() == [True, False]
    assert too_rarely_accepted(found, [0.9, 0.7, 0.6, 0.5]).tolist() == [True, False, True]


def test_short_drafts_do_not_count_as_rejected() -> None:
    """N-gram drafts: half of them had one token only."""
    found = acceptance_by_position([1000, 500], [900, 450])
    assert found.trials.tolist() == [1000, 500]
    assert found.rate[1] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("drafted", "accepted"), [(10, [11]), (10, [5, 6]), (10, [-1]), (10, []), ([10, 10, 10], [5, 4])]
)
def test_counts_that_cannot_be_are_refused(drafted: int | list[int], accepted: list[int]) -> None:
    with pytest.raises(TaisError, match="position"):
        acceptance_by_position(drafted, accepted)


def test_a_wanted_rate_is_a_rate() -> None:
    with pytest.raises(TaisError, match="rate"):
        too_rarely_accepted(acceptance_by_position(10, [5]), 1.5)
