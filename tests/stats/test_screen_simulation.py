from __future__ import annotations

import math

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.power import minimum_detectable_difference
from tais.stats.regions import Setting
from tais.stats.simulation.screen import Battery, equal_tables, one_bad_endpoint, screens_of_equal_stacks

PLAIN = Setting(margin=0.03, alpha=0.05, h_cutoff=0.1)
SCREENS = 3000


@pytest.mark.parametrize(
    "battery", [Battery(200, 0.8, 0.05), Battery(100, 0.98, 0.03), Battery(50, 0.6, 0.0)]
)
def test_drawn_arms_are_equal_stacks_of_this_rate_and_discordance(battery: Battery) -> None:
    tables = equal_tables(np.random.default_rng(1), battery, (20_000,), 3)
    assert tables.shape == (20_000, 3, 4)
    assert tables.min() >= 0
    assert np.all(tables.sum(axis=-1) == battery.n)
    both, down, up, _ = (tables.mean(axis=(0, 1)) / battery.n).tolist()
    close = 5 * math.sqrt(battery.rate * (1 - battery.rate) / (battery.n * 20_000))
    assert both + down == pytest.approx(battery.rate, abs=close)
    assert both + up == pytest.approx(battery.rate, abs=close)
    assert down + up == pytest.approx(battery.discordance, abs=close)
    # One reference: its rate is the same in each contrast of a screen.
    assert np.all(np.ptp(tables[..., 0] + tables[..., 1], axis=1) == 0)


@pytest.mark.parametrize(("battery", "before"), [((100, 0.8, 0.05), 0.18), ((100, 0.98, 0.03), 0.17)])
def test_equal_stacks_fail_at_most_at_alpha_where_they_failed_far_more_often(
    battery: tuple[int, float, float], before: float
) -> None:
    found = screens_of_equal_stacks([Battery(*battery)] * 6, 5, PLAIN, SCREENS)
    assert found.unadjusted == pytest.approx(before, abs=0.03)
    assert found.adjusted < 0.05


def test_one_bad_endpoint_is_found_among_few_and_among_many() -> None:
    """-10 points at n = 130, all flips one way; the unadjusted power is known by enumeration."""
    few, many = (
        one_bad_endpoint(Battery(130, 0.8, 0.1), -0.1, Battery(130, 0.8, 0.01), m, PLAIN, SCREENS)
        for m in (12, 180)
    )
    assert few.unadjusted == pytest.approx(0.954, abs=0.015)
    assert min(few.adjusted, many.adjusted) > 0.93
    # Holm's method on the margin tests, which was not chosen, loses it.
    assert many.holm_of_margin < 0.2
    detectable = minimum_detectable_difference(130, 0.03, 0.0, 0.954, as_failure=True)
    assert detectable == pytest.approx(0.1, abs=0.002)


def test_screens_that_cannot_be_are_refused() -> None:
    with pytest.raises(TaisError, match="no items have"):
        Battery(100, 0.99, 0.05).shares()
    with pytest.raises(TaisError, match="no items differ"):
        one_bad_endpoint(Battery(130, 0.8, 0.05), -0.1, Battery(130, 0.8, 0.0), 2, PLAIN, 10)
