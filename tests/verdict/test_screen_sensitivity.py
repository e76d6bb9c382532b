"""What a screen could have seen: contamination curves and the minimum detectable leak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.manifest.model import Role, Rules
from tais.stats.paired import PairedTable, tost
from tais.verdict.calibration import Calibration
from tais.verdict.details import listed
from tais.verdict.details.contrast import ShownSensitivity
from tais.verdict.endpoint import judge_endpoint
from tais.verdict.endpoint_table import fold
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.screen import decide
from tais.verdict.sensitivity import (
    Sensitivity,
    identity_leak,
    leak_curve,
    measure_sensitivity,
    titrated_control,
)
from tests.stats.made import CAUGHT, QUIET, contrast, endpoint, outcomes, screen


def measured(*endpoints: EndpointEvidence, identical: float = 0.1, **rules: Any) -> Sensitivity:
    control = contrast(*endpoints, role="positive_control", identical=identical)
    made = Rules(**rules)
    results = [judge_endpoint(e, made, Role.positive_control) for e in control.endpoints]
    return measure_sensitivity(control, results, made, Calibration.of([], 0.05))


def test_curve_agrees_with_the_binomial_sum() -> None:
    """A control with flips one way: b ~ Bin(240, e), and the largest b that passes is a table look-up."""
    from scipy.stats import binom

    result = judge_endpoint(endpoint(240, 240, 0, 120), Rules(h_cutoff=3.1), Role.positive_control)
    assert result.folded is not None
    shares = np.array([0.01, 0.03, 0.05, 0.1])
    not_passed, _ = leak_curve(result.folded, result.setting, shares)
    b = np.arange(241.0)
    passes = tost(PairedTable(480 - b, b, 0, 120), 0.03).equivalent
    for e, found in zip(shares, not_passed, strict=True):
        expected = 1 - binom.pmf(b, 240, e)[passes].sum()
        # 400 draws: standard error at most 0.025
        assert found == pytest.approx(expected, abs=0.08)


def test_a_leak_of_the_minimum_size_is_noticed_as_often_as_claimed() -> None:
    found = measured(endpoint(240, 240, 0, 120))
    assert found.not_pass is not None
    assert found.fail is not None
    assert found.not_pass < found.fail < 1
    rules, random, noticed = Rules(), np.random.RandomState(5), 0
    for _ in range(200):
        b = float(random.binomial(240, found.not_pass))
        table = PairedTable(480 - b, b, 0, 120)
        noticed += not bool(tost(table, rules.margin).equivalent)
    assert noticed / 200 == pytest.approx(0.9, abs=0.07)


def test_of_several_controls_the_best_and_the_worst_are_named() -> None:
    weak = contrast(endpoint(420, 60, 0, 120), role="positive_control", candidate="weak")
    blind = contrast(endpoint(480, 1, 0, 119), role="positive_control", candidate="blind")
    report = decide(screen(contrast(endpoint(480, 0, 0, 120)), QUIET, weak, CAUGHT, blind)).contrasts[0]
    said = next(r for r in report.reasons if r.code == "controls_best_and_worst")
    assert (said.values["best"], said.values["worst"]) == ("draft", "blind")
    assert said.values["worst_fail"] is None
    assert "of 3 controls a leak of draft is seen best" in said.message
    assert "no share" in said.message
    alone = decide(screen(contrast(endpoint(480, 0, 0, 120)), QUIET, CAUGHT)).contrasts[0]
    assert "controls_best_and_worst" not in {r.code for r in alone.reasons}


def test_no_interval_is_claimed_for_a_leak() -> None:
    """What followed from the control's difference covered far less than it said near a ceiling."""
    said = measured(endpoint(240, 240, 0, 120)).notes()[0]
    assert "[" not in said.message
    assert not [key for key in said.values if "interval" in key]


def test_a_weaker_control_needs_a_larger_leak() -> None:
    strong, weak = measured(endpoint(240, 240, 0, 120)), measured(endpoint(420, 60, 0, 120))
    assert strong.not_pass is not None
    assert weak.not_pass is not None
    assert weak.not_pass > 2 * strong.not_pass


def test_a_control_like_the_reference_detects_nothing() -> None:
    found = measured(endpoint(480, 1, 1, 118), identical=1.0)
    assert (found.not_pass, found.fail, found.identity) == (None, None, None)
    assert "no share" in found.notes()[0].message


def test_a_screen_too_small_to_pass_says_so_instead_of_a_share() -> None:
    found = measured(endpoint(30, 20))
    assert found.not_pass is None
    assert not found.endpoints[0].passes_clean
    assert not measured(endpoint(50, 45), exact=True).endpoints[0].passes_clean


def test_a_second_battery_notices_more() -> None:
    one = measured(endpoint(240, 240, 0, 120))
    two = measured(endpoint(240, 240, 0, 120), endpoint(240, 240, 0, 120, battery="other"))
    assert one.not_pass is not None
    assert two.not_pass is not None
    assert two.not_pass < one.not_pass


def test_a_second_scorer_of_the_same_items_is_not_counted_as_independent() -> None:
    one = measured(endpoint(240, 240, 0, 120))
    two = measured(endpoint(240, 240, 0, 120), endpoint(240, 240, 0, 120, scorer="judge"))
    assert two.not_pass == one.not_pass


def test_outputs_show_a_leak_first() -> None:
    # One changed output in 600 is enough: P(none) = (1 - 0.9 e)^600 = 0.1.
    found = measured(endpoint(240, 240, 0, 120), identical=0.1)
    assert found.identity == pytest.approx((1 - 0.1 ** (1 / 600)) / 0.9, rel=1e-6)


def test_noise_of_the_reference_hides_a_small_leak_in_the_outputs() -> None:
    noisy = replace(QUIET, identity=contrast(endpoint(600), identical=0.95).identity)
    control = contrast(endpoint(240, 240, 0, 120), role="positive_control", identical=0.1)
    shares = [identity_leak(control, Calibration.of(aa, 0.05), 0.99) for aa in ([], [QUIET], [noisy])]
    uncalibrated, quiet, hidden = (share or 0.0 for share in shares)
    # A quiet A/A of 600 leaves room for 6 differing answers in one more run: P(count <= 6) = 0.1.
    assert 0 < uncalibrated < quiet / 3
    assert hidden > 3 * quiet


def test_a_titrated_control_is_the_asked_share_of_the_whole_one() -> None:
    whole = endpoint(240, 240, 0, 120)
    part = titrated_control(whole, 0.25)
    changed = (part.candidate != whole.reference).sum()
    assert changed == pytest.approx(60, abs=20)
    assert np.array_equal(titrated_control(whole, 1.0).candidate, whole.candidate)
    assert np.array_equal(titrated_control(whole, 0.0).candidate, whole.reference)


def test_a_titrated_control_leaks_whole_clusters() -> None:
    whole = endpoint(50, 50, repeats=4)
    part = titrated_control(whole, 0.5)
    shares = fold(part).only_reference
    assert set(shares.tolist()) <= {0.0, 1.0}


def test_the_control_at_the_share_that_fails_is_reported_with_its_verdict() -> None:
    report = decide(screen(contrast(endpoint(480, 0, 0, 120)), QUIET, CAUGHT))
    shown = listed(report.contrasts[0], ShownSensitivity)[0].endpoints[0]
    titrated, curve = shown.titrated, shown.curve
    assert titrated is not None
    assert titrated.share is not None
    assert titrated.verdict in {"fail", "inconclusive"}
    assert titrated.difference == pytest.approx(-0.4 * titrated.share, rel=0.35)
    assert len(curve.share) == len(curve.not_pass) == len(curve.fail)
    assert curve.not_pass[-1] == curve.fail[-1] == 1.0


def test_scores_have_a_curve_too() -> None:
    random = np.random.RandomState(0)
    reference = random.beta(9, 1, 400)
    unsafe = np.clip(reference - random.beta(4, 4, 400), 0, 1)
    found = measured(outcomes(reference, unsafe, kind="continuous"))
    assert found.not_pass is not None
    assert found.fail is not None
    # The interval reaches the margin when the mean falls by about 3 points less its half-width.
    drop = float((reference - unsafe).mean())
    assert 0.005 < found.not_pass * drop < 0.03
    assert 0.03 < found.fail * drop < 0.06


def test_repeats_of_the_control_are_leaked_together() -> None:
    once, thrice = measured(endpoint(240, 240, 0, 120)), measured(endpoint(240, 240, 0, 120, repeats=3))
    assert once.not_pass is not None
    assert thrice.not_pass == pytest.approx(once.not_pass, rel=1e-9)


def test_only_screens_of_the_same_reference_cite_the_control() -> None:
    other = replace(contrast(endpoint(480, 0, 0, 120)), reference="elsewhere")
    report = decide(screen(contrast(endpoint(480, 0, 0, 120)), other, CAUGHT))
    assert "sensitivity" in report.contrasts[0].details
    assert "sensitivity" not in report.contrasts[1].details
