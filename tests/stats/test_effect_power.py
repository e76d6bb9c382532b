"""The power of an endpoint with its effect size, against decisions of simulated screens."""

from __future__ import annotations

import numpy as np
import pytest

from tais.stats.effect import cohens_h
from tais.stats.null import h_quantile
from tais.stats.paired import PairedTable, tost
from tais.stats.sample_size import EndpointDesign, joint_power

DRAWS = 4000


@pytest.mark.parametrize(
    ("n", "rate", "psi", "again", "decided"),
    [
        (450, 0.98, 0.02, 1, 0.013),
        (450, 0.98, 0.01, 1, 0.42),
        (200, 0.99, 0.01, 1, 0.073),
        (200, 0.99, 0.01, 0, 0.66),
        (450, 0.50, 0.02, 1, 0.95),
    ],
)
def test_near_a_ceiling_it_is_what_whole_screens_pass(
    n: int, rate: float, psi: float, again: int, decided: float
) -> None:
    """300 screens per row, each decided whole, of items that flip as fair coins: error .03 at most."""
    found = joint_power([EndpointDesign(n, 0.03, psi, rate=rate)], 1, again)
    assert found == pytest.approx(decided, abs=0.06)


def test_without_a_rate_the_effect_size_is_left_out() -> None:
    design = EndpointDesign(450, 0.03, 0.02)
    assert joint_power([design], 1, 1) == pytest.approx(0.951, abs=0.001)


@pytest.mark.parametrize(
    ("n", "rate", "psi", "contrasts", "again", "one_sided"),
    [
        (450, 0.98, 0.01, 1, 1, False),
        (200, 0.99, 0.01, 2, 0, False),
        (300, 0.9, 0.02, 2, 1, False),
        (300, 0.95, 0.02, 1, 1, True),
        (150, 0.02, 0.01, 1, 0, False),
    ],
)
def test_it_is_the_share_of_simulated_screens_that_pass(
    n: int, rate: float, psi: float, contrasts: int, again: int, one_sided: bool
) -> None:
    random = np.random.default_rng(7)
    # Some items flip as fair coins in each run, the others never.
    coins = random.binomial(n, 2 * psi, DRAWS)
    fixed = random.binomial(n - coins, (rate - psi) / (1 - 2 * psi))
    own = random.binomial(coins, 0.5)
    reference = (fixed + own) / n
    passed = np.ones(DRAWS, dtype=bool)
    for index in range(contrasts + again):
        lost, won = random.binomial(own, 0.5), random.binomial(coins - own, 0.5)
        table = PairedTable(fixed + own - lost, lost, won, n - fixed - own - won)
        screened = index < contrasts
        passed &= tost(table, 0.03, one_sided=one_sided and screened).equivalent
        if screened:
            h = cohens_h(reference, reference + (won - lost) / n)
            passed &= (h > -0.1) & (one_sided | (h < 0.1))
        else:
            pairs = zip(reference, (lost + won) / n, strict=True)
            null = [h_quantile(n, base, flips, 0.99, one_sided=one_sided) for base, flips in pairs]
            passed &= np.array(null) < 0.1
    found = joint_power(
        [EndpointDesign(n, 0.03, psi, non_inferiority=one_sided, rate=rate)], contrasts, again
    )
    # Contrasts that share a reference pass together a little more often.
    assert found == pytest.approx(float(passed.mean()), abs=0.03 if contrasts == 1 else 0.08)
