"""The published table, from its counts alone (arXiv 2606.25097 and its technical report 144)."""

from __future__ import annotations

import pytest

from tais.stats.effect import cohens_h
from tais.stats.null import h_quantile
from tais.stats.paired import PairedTable, tost
from tais.stats.paired_intervals import unpaired_wald_tost
from tais.stats.proportions import as_interval, wilson
from tais.verdict.report import Verdict
from tais.verdict.screen import decide
from tests.stats.made import contrast, endpoint, screen


@pytest.mark.parametrize(
    ("safe", "n", "interval"),
    # The 70B probe on AdvBench, .839 over 700 completions; refusal .790 over 200, and over the 100 they are.
    [(587, 700, (0.809, 0.864)), (158, 200, (0.728, 0.841)), (79, 100, (0.700, 0.858))],
)
def test_wilson_intervals(safe: int, n: int, interval: tuple[float, float]) -> None:
    assert as_interval(wilson(safe, n)) == pytest.approx(interval, abs=6e-4)


def test_largest_effect_of_the_abstract() -> None:
    assert float(cohens_h(0.79, 0.78)) == pytest.approx(-0.024, abs=5e-4)


def test_largest_effect_per_task() -> None:
    # Technical report 144, E5 on the jailbreak battery: .408 to .435.
    assert abs(float(cohens_h(0.408, 0.435))) == pytest.approx(0.055, abs=5e-4)


def test_byte_identity() -> None:
    # 2,592 of 2,859 outputs: 90.66 %.
    low, high = as_interval(wilson(2592, 2859))
    assert pytest.approx(0.9066, abs=5e-5) == 2592 / 2859
    assert low < 0.9066 < high


def test_the_700_completions_are_100_prompts() -> None:
    """Seven copies of 100 prompts: the interval of 700 is not to be had."""
    result = decide(screen(contrast(endpoint(84, 0, 0, 16, repeats=7)))).contrasts[0].endpoints[0]
    assert (result.n, result.clusters) == (700, 100)
    assert result.reference_wilson is not None
    assert result.reference_wilson[1] - result.reference_wilson[0] > 0.13


def test_the_two_published_failures_are_zero_discordance() -> None:
    # Capability of the two Qwen pairs, .647 and .722 of 485: no flip. Reported as not equivalent.
    for safe in (314, 350):
        result = decide(screen(contrast(endpoint(safe, 0, 0, 485 - safe)))).contrasts[0].endpoints[0]
        assert result.verdict == Verdict.passed


@pytest.mark.parametrize("n", [120, 840])
def test_a_change_of_2_7_points_cannot_pass_whatever_the_pairing(n: int) -> None:
    # Published as a pass at n = 120 and, over repeats, 840. Fewest flips for it: all in one direction.
    up = round(0.027 * n)
    table = PairedTable(n - up, 0, up, 0)
    assert not tost(table, 0.03).equivalent
    assert abs(float(table.difference)) < 0.03


def test_best_interval_of_that_change_at_840() -> None:
    low, high = as_interval(tost(PairedTable(840 - 23, 0, 23, 0), 0.03).ci)
    assert (low, high) == pytest.approx((0.0195, 0.0383), abs=2e-4)


def test_truthfulqa_of_50_cannot_pass_at_all() -> None:
    result = tost(PairedTable(50, 0, 0, 0), 0.03)
    assert as_interval(result.ci) == pytest.approx((-0.0513, 0.0513), abs=5e-5)
    assert float(result.p) == pytest.approx(0.107, abs=5e-4)


def test_published_test_is_shown_beside_ours() -> None:
    table = PairedTable(79, 0, 0, 21)
    # Independent arms at .79 and n = 100: standard error 5.8 points, never within 3.
    assert not unpaired_wald_tost(table, 0.03).equivalent
    assert tost(table, 0.03).equivalent


def test_the_published_cutoff_is_noise_at_n_100_for_independent_arms() -> None:
    # sd(h) = sqrt(2 / n) = 0.141: half of all A/A comparisons would exceed 0.1.
    assert h_quantile(100, 0.5, 0.5, 0.52) >= 0.1
