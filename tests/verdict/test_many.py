"""Holm's correction and pooling across batteries."""

from __future__ import annotations

import numpy as np
import pytest

from tais.errors import TaisError
from tais.stats.multiplicity import holm
from tais.stats.paired import mcnemar
from tais.stats.stratified import pool_strata


@pytest.mark.slow
def test_holm_equals_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = [0.01, 0.04, 0.03, 0.005, 0.5, 0.5]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]).shape == (0,)


def test_holm_refuses_what_is_no_p_value() -> None:
    with pytest.raises(TaisError, match="p-values"):
        holm([0.5, float("nan")])


def test_pooled_odds_ratio_equals_that_of_statsmodels_with_a_stratum_per_pair() -> None:
    from statsmodels.stats.contingency_tables import StratifiedTable

    # Each pair is a 2 x 2 table: rows candidate and reference, columns safe and unsafe.
    kinds = {"both": [[1, 0], [1, 0]], "down": [[0, 1], [1, 0]], "up": [[1, 0], [0, 1]]}
    tables = [np.array(kinds[k]) for k, count in (("both", 20), ("down", 9), ("up", 4)) for _ in range(count)]
    pooled = pool_strata([5, 4], [1, 3], [20, 13], 0.9)
    assert pooled.odds_ratio == pytest.approx(StratifiedTable(tables).oddsratio_pooled)
    assert pooled.difference == pytest.approx(-5 / 33)
    assert pooled.mcnemar_p == pytest.approx(float(mcnemar(9, 4)))


def test_pooled_odds_ratio_is_the_paired_one() -> None:
    # Technical report 149 of the study gave an unpaired ad/bc of 3411.5 where (c + .5) / (b + .5) is meant.
    low, high = pool_strata([0], [6], [100], 0.95).odds_ratio_ci
    assert pool_strata([0], [6], [100], 0.95).odds_ratio == pytest.approx(13.0)
    assert high is None
    # Clopper-Pearson of 6 in 6: 0.5407; odds 1.177
    assert low == pytest.approx(0.540742 / (1 - 0.540742), abs=1e-5)


def test_pooling_without_flips_or_strata() -> None:
    quiet = pool_strata([0, 0], [0, 0], [100, 100], 0.9)
    assert quiet.odds_ratio == 1.0
    assert quiet.odds_ratio_ci == (0.0, None)
    with pytest.raises(TaisError, match="no stratum"):
        pool_strata([], [], [], 0.9)
