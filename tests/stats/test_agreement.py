"""Agreement between scorers, and a judge's errors."""

from __future__ import annotations

import numpy as np
import pytest

from tais.stats.agreement import agreement, confirmed_flips, corrected_difference, rogan_gladen
from tais.stats.paired import PairedTable, tango_interval


def labels(table: list[list[int]]) -> tuple[list[str], list[str]]:
    first, second = [], []
    for i, row in enumerate(table):
        for j, count in enumerate(row):
            first += [f"c{i}"] * count
            second += [f"c{j}"] * count
    return first, second


@pytest.mark.parametrize(
    "table", [[[20, 5], [10, 15]], [[45, 15], [25, 15]], [[10, 2, 1], [3, 12, 4], [0, 2, 9]]]
)
def test_kappa_and_its_error_are_those_of_statsmodels(table: list[list[int]]) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    oracle = inter_rater.cohens_kappa(np.array(table))
    mine = agreement(*labels(table))
    assert mine.kappa == pytest.approx(oracle.kappa)
    assert mine.standard_error == pytest.approx(oracle.std_kappa)


def test_confusion_and_disagreements() -> None:
    found = agreement(["r", "c", "r"], ["r", "r", "r"])
    assert found.confusion == {("r", "r"): 2, ("c", "r"): 1}
    assert found.disagreements == (1,)
    assert found.kappa == 0.0


def test_one_label_throughout_has_no_kappa() -> None:
    assert agreement(["r", "r"], ["r", "r"]).kappa is None
    with pytest.raises(ValueError, match="labels against"):
        agreement(["r"], [])


def test_a_perfect_judge_needs_no_correction() -> None:
    rate = rogan_gladen(30, 100, (1000, 1000), (1000, 1000))
    assert rate.estimate == pytest.approx(0.3)
    assert 0.2 < rate.low < 0.3 < rate.high < 0.41


def test_a_known_correction() -> None:
    # (0.4 + 0.9 - 1) / (0.8 + 0.9 - 1)
    assert rogan_gladen(40, 100, (80, 100), (90, 100)).estimate == pytest.approx(3 / 7)


def test_the_interval_covers_the_true_rate() -> None:
    # Lang and Reiczigel report coverage near 95 % throughout; 1,000 draws leave a standard error of 0.7 %.
    rng = np.random.default_rng(11)
    truth, se, sp, covered = 0.2, 0.85, 0.9, 0
    for _ in range(1000):
        positive = int(rng.binomial(300, truth * se + (1 - truth) * (1 - sp)))
        found = (int(rng.binomial(100, se)), 100)
        spared = (int(rng.binomial(100, sp)), 100)
        rate = rogan_gladen(positive, 300, found, spared)
        covered += rate.low <= truth <= rate.high
    assert 0.93 <= covered / 1000 <= 0.985


@pytest.mark.parametrize(
    ("true_positive", "true_negative"), [((50, 100), (50, 100)), ((0, 0), (9, 10)), ((11, 10), (9, 10))]
)
def test_a_judge_that_corrects_nothing_is_refused(
    true_positive: tuple[int, int], true_negative: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=r"chance|labelled|counts"):
        rogan_gladen(10, 100, true_positive, true_negative)


def test_a_known_correction_of_a_difference() -> None:
    # -0.07 / (0.8 + 0.9 - 1)
    found = corrected_difference(-0.07, (-0.14, 0.0), (80, 100), (90, 100))
    assert found.estimate == pytest.approx(-0.1)
    assert found.low < -0.2
    assert 0.0 < found.high < 0.05


def test_a_perfect_judge_leaves_a_difference_alone() -> None:
    found = corrected_difference(-0.07, (-0.14, 0.0), (100_000, 100_000), (100_000, 100_000))
    assert (found.estimate, found.low, found.high) == pytest.approx((-0.07, -0.14, 0.0), abs=1e-4)


def test_no_difference_stays_none_however_badly_the_judge_errs() -> None:
    # Where nothing flips the error of the index multiplies zero, and only the interval grows.
    found = corrected_difference(0.0, (-0.01, 0.01), (70, 100), (70, 100))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.0, -0.025, 0.025))


@pytest.mark.parametrize("leak", [0.0, *(pytest.param(e, marks=pytest.mark.slow) for e in (0.05, 0.3))])
def test_the_interval_covers_the_true_difference(leak: float) -> None:
    # Refusals of 400 items are lost by `leak`; the judge errs anew on every answer that changes, and alike on
    # those that do not. 600 draws leave a standard error of 0.9 %.
    rng = np.random.default_rng(3)
    se, sp, n, draws, covered = 0.85, 0.9, 400, 600, 0
    for _ in range(draws):
        before = rng.random(n) < 0.8
        after = before & (rng.random(n) >= leak)
        seen = np.where(before, rng.random(n) < se, rng.random(n) >= sp)
        again = np.where(after, rng.random(n) < se, rng.random(n) >= sp)
        now = np.where(before == after, seen, again)
        cells = [int((seen & now).sum()), int((seen & ~now).sum()), int((~seen & now).sum())]
        table = PairedTable(cells[0], cells[1], cells[2], n - sum(cells))
        low, high = tango_interval(table)
        found = corrected_difference(
            float(table.difference),
            (float(low), float(high)),
            (int(rng.binomial(200, se)), 200),
            (int(rng.binomial(200, sp)), 200),
        )
        covered += found.low <= -0.8 * leak <= found.high
    assert covered / draws >= 0.93


@pytest.mark.parametrize("accuracy", [((50, 100), (50, 100)), ((0, 0), (9, 10))])
def test_a_difference_is_not_corrected_by_chance(accuracy: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"chance|labelled"):
        corrected_difference(0.1, (0.0, 0.2), *accuracy)


def test_flips_are_confirmed_in_their_direction() -> None:
    def arrays(*rows: str) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
        return [np.array([float(c) for c in row]) for row in rows]

    found = confirmed_flips(*arrays("11010", "00110", "11100", "10011"))
    # Items 0 and 1 fall, 2 rises; the second scorer sees 0 stay, 1 fall and 2 fall.
    assert (found.flips, found.confirmed, found.unseen, found.reversed) == (3, 1, 1, 1)
