"""What looks may spend on the direction of flips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.paired import mcnemar
from tais.stats.sequential import flip_e_value
from tais.stats.spending import SPENDING, spent_p

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize("kind", SPENDING)
def test_one_look_at_the_end_spends_its_p_value(kind: str) -> None:
    for p in (1e-9, 0.001, 0.05, 0.2):
        assert spent_p(p, kind, 0.0, 1.0) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize("kind", SPENDING)
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 30, 0.05 / 180])
def test_a_look_rejects_at_the_share_that_is_spent_there(kind: str, alpha: float) -> None:
    for before, now in pairwise((0.0, *SHARES)):
        spend = SPENDING[kind]
        spent = float(spend(np.asarray(now), alpha)) - (
            float(spend(np.asarray(before), alpha)) if before else 0.0
        )
        if spent < 1e-14:
            continue
        assert spent_p(spent, kind, before, now) == pytest.approx(alpha, rel=1e-4)
        assert spent_p(1.01 * spent, kind, before, now) > alpha
        # Never less than the p-value itself.
        assert spent_p(spent, kind, before, now) >= spent


@pytest.mark.parametrize("kind", SPENDING)
def test_equal_stacks_stop_at_most_at_the_level_of_all_looks(kind: str) -> None:
    """40,000 fair walks of 60 flips; standard error at 0.05 is 0.0011."""
    up = np.random.RandomState(1).random_sample((40_000, 60)) < 0.5
    for alpha in (0.05, 0.2):
        stopped = np.zeros(len(up), bool)
        for before, now in pairwise((0.0, *SHARES)):
            n = round(60 * now)
            c = up[:, :n].sum(axis=1)
            p = {k: spent_p(float(mcnemar(n - k, k, mid_p=False)), kind, before, now) for k in set(c)}
            stopped |= np.array([p[k] < alpha for k in c])
        assert stopped.mean() <= alpha + 4 * (alpha * (1 - alpha) / len(up)) ** 0.5
        assert stopped.mean() > 0


def test_a_p_value_that_no_level_reaches_is_one() -> None:
    assert spent_p(0.9, "obrien_fleming", 0.0, 0.2) == 1.0
    with pytest.raises(TaisError, match="rising shares"):
        spent_p(0.01, "pocock", 0.5, 0.5)
    with pytest.raises(TaisError, match="spending of"):
        spent_p(0.01, "linear", 0.0, 0.5)


def test_the_evidence_of_fair_flips_has_mean_1() -> None:
    """Over all outcomes of n fair flips: an e-value by its definition."""
    from scipy.stats import binom

    for n in (1, 5, 40):
        mean = sum(binom.pmf(k, n, 0.5) * flip_e_value(n - k, k) for k in range(n + 1))
        assert mean == pytest.approx(1.0, abs=1e-9)
    assert flip_e_value(0, 0) == 1.0
    # All of 20 flips down: 2^20 / 21.
    assert flip_e_value(20, 0) == pytest.approx(2**20 / 21)
