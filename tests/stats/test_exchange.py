from __future__ import annotations

import math

import numpy as np
import pytest

from tais.stats.exchange import LEAST_LOSS, exchange_control, exchange_control_of_means
from tais.stats.paired import PairedTable, tango_interval
from tais.stats.power import discordant_grid
from tais.stats.regions import Setting

PLAIN = Setting(margin=0.03, alpha=0.05, h_cutoff=0.1)


def test_answers_that_a_scorer_reads_come_out_as_worse() -> None:
    found = exchange_control(PairedTable(4, 190, 1, 5), PLAIN)
    assert found.shown
    assert found.loss == pytest.approx(189 / 200)
    assert found.minimum_leak == pytest.approx(0.03 / found.lower_bound)


def test_the_bound_is_the_one_sided_95_percent_score_bound() -> None:
    # R: ratesci::scoreci, Tango's contact lenses (43, 0, 1, 0), 90 % -> -0.095662, 0.036517, the one flip
    # counted against the first arm.
    lost = exchange_control(PairedTable(43, 1, 0, 0), PLAIN)
    gained = exchange_control(PairedTable(43, 0, 1, 0), PLAIN)
    assert lost.lower_bound == pytest.approx(-0.036517, abs=1e-6)
    assert gained.lower_bound == pytest.approx(-0.095662, abs=1e-6)


def test_the_bound_does_not_follow_alpha() -> None:
    table = PairedTable(60, 90, 2, 8)
    strict = exchange_control(table, Setting(0.03, 0.01, 0.1))
    assert strict.lower_bound == exchange_control(table, PLAIN).lower_bound


@pytest.mark.parametrize("refusals_read", [0.06, 0.08, 0.1])
def test_a_scorer_that_reads_few_refusals_fails_and_is_not_shown(refusals_read: float) -> None:
    lost = round(250 * refusals_read)
    found = exchange_control(PairedTable(0, lost, 0, 250 - lost), PLAIN)
    assert found.failed
    assert not found.shown
    assert found.lower_bound < LEAST_LOSS


@pytest.mark.parametrize("outcome", [(250, 0, 0, 0), (0, 0, 0, 250)])
def test_a_scorer_blind_to_the_model_is_not_shown(outcome: tuple[int, int, int, int]) -> None:
    found = exchange_control(PairedTable(*outcome), PLAIN)
    assert not found.failed
    assert not found.shown
    assert found.lower_bound < 0
    assert found.minimum_leak is None


def test_coming_out_as_better_shows_nothing() -> None:
    found = exchange_control(PairedTable(4, 1, 190, 5), PLAIN)
    assert not found.failed
    assert not found.shown


def test_a_wide_margin_raises_what_must_be_shown() -> None:
    table = PairedTable(100, 60, 0, 40)
    assert exchange_control(table, PLAIN).shown
    wide = exchange_control(table, Setting(0.28, 0.05, 0.1))
    assert not wide.shown
    assert wide.minimum_leak is None
    assert wide.lower_bound < 0.28


def test_too_few_donors_are_not_enough() -> None:
    """All answers read and exchanged: from which number of items is that shown?"""
    shown = [n for n in range(1, 30) if exchange_control(PairedTable(0, n, 0, 0), PLAIN).shown]
    assert shown == list(range(shown[0], 30))
    assert 2 <= shown[0] <= 5


@pytest.mark.parametrize("n", [50, 200, 450])
@pytest.mark.parametrize("discordance", [0.2, 0.3, 0.6])
def test_a_loss_of_a_fifth_is_shown_in_about_one_of_twenty(n: int, discordance: float) -> None:
    """By enumeration at the boundary; the score bound exceeds 5 % slightly, as its test does."""
    table, mass = discordant_grid(n, discordance, -LEAST_LOSS)
    shown = -tango_interval(table, 0.9)[1] >= LEAST_LOSS
    assert 0.02 < float(mass[shown].sum()) < 0.07
    # The control draws the same line: at the tables on both sides of it.
    cells = np.stack(np.broadcast_arrays(*table.cells()), axis=-1)
    edges = np.argwhere(shown[:-1] != shown[1:])[:: max(1, shown.shape[1] // 8)]
    assert len(edges) > 3
    for row, column in edges.tolist():
        for at in (row, row + 1):
            assert exchange_control(PairedTable(*cells[at, column]), PLAIN).shown == shown[at, column]


def test_a_ratio_margin_is_counted_in_points_of_the_reference() -> None:
    """Twice the unsafe rate of 5 % is 5 points more."""
    table = PairedTable(10, 180, 0, 10)
    found = exchange_control(table, Setting(1.0 - 1e-9, 0.05, 0.1, ratio=True))
    assert found.shown
    assert found.minimum_leak == pytest.approx(0.05 / found.lower_bound)


def test_scores_are_judged_by_the_score_test_of_their_mean() -> None:
    d = np.random.RandomState(2).normal(-0.4, 0.2, 120).clip(-1, 1)
    found = exchange_control_of_means(d, PLAIN)
    assert found.shown
    z, n, spread = 1.6448536, 120, d.std()
    skewed = ((d - d.mean()) ** 3).mean() * (1 + 2 * z * z) / (6 * n * spread**2)
    assert found.loss == pytest.approx(-d.mean())
    assert found.lower_bound == pytest.approx(-d.mean() - z * spread / math.sqrt(n - z * z) - max(skewed, 0))
    assert found.minimum_leak == pytest.approx(0.03 / found.lower_bound)


def test_small_falls_of_scores_fail_and_are_not_shown() -> None:
    found = exchange_control_of_means(np.full(200, -0.15), PLAIN)
    assert found.failed
    assert not found.shown
    assert not exchange_control_of_means(np.zeros(200), PLAIN).failed
    assert not exchange_control_of_means(np.full(200, 0.5), PLAIN).failed
