from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.exact import exact_p, exact_tost
from tais.stats.paired import PairedTable, tango_statistic
from tais.stats.power import zero_discordance_floor
from tais.stats.proportions import as_interval


def test_without_discordance_the_p_value_is_a_power() -> None:
    for n in (20, 98, 99):
        assert exact_p(n, 0, 0, -0.03) == pytest.approx(0.97**n, rel=1e-9)


def test_zero_discordance_needs_99_items() -> None:
    assert not exact_tost(PairedTable(98, 0, 0, 0), 0.03).equivalent
    assert exact_tost(PairedTable(99, 0, 0, 0), 0.03).equivalent
    assert zero_discordance_floor(0.03, exact=True) == 99


def test_p_value_is_the_largest_trinomial_tail() -> None:
    """Brute force over all tables and a fine grid of the discordance."""
    from scipy.stats import multinomial

    n, b, c, margin = 12, 1, 2, 0.2
    down, up = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = down + up <= n
    down, up = down[inside], up[inside]
    score = tango_statistic(PairedTable(n - down - up, down, up, 0), -margin)
    observed = float(tango_statistic(PairedTable(n - b - c, b, c, 0), -margin))
    extreme = score >= observed - 1e-9
    tables = np.stack([down, up, n - down - up], axis=1)[extreme]
    best = max(
        multinomial.pmf(tables, n, [q, q - margin, 1 - 2 * q + margin]).sum()
        for q in np.linspace(margin, (1 + margin) / 2, 800)
    )
    assert exact_p(n, b, c, -margin) == pytest.approx(best, rel=1e-4)


def test_interval_inverts_the_test() -> None:
    result = exact_tost(PairedTable(95, 2, 1, 12), 0.05)
    low, high = as_interval(result.ci)
    assert exact_p(110, 2, 1, low) == pytest.approx(0.05, abs=1e-3)
    assert exact_p(110, 1, 2, -high) == pytest.approx(0.05, abs=1e-3)
    assert low < -1 / 110 < high


def test_fractional_discordance_is_rounded_against_equivalence() -> None:
    whole = exact_tost(PairedTable(58, 1, 0, 1), 0.03)
    part = exact_tost(PairedTable(58.5, 0.5, 0, 1), 0.03)
    assert float(part.p_lower) == pytest.approx(float(whole.p_lower))


def test_too_many_items_are_refused_with_the_remedy() -> None:
    with pytest.raises(TaisError, match="Leave out"):
        exact_tost(PairedTable(30_000, 0, 0, 0), 0.03)
