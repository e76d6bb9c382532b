"""A fail must stand among all screened endpoints; what fails by its own rule only is suspect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.manifest.model import Rules
from tais.stats.paired import PairedTable, mcnemar
from tais.stats.regions import Setting, regions
from tais.stats.sign_flip import attainable_mcnemar_p, sign_flip_test
from tais.stats.tarone import tarone_holm
from tais.verdict.evidence import ContrastEvidence, EndpointEvidence
from tais.verdict.report import EndpointReport, Report, Verdict
from tais.verdict.screen import decide
from tests.stats.made import contrast, endpoint, outcomes, screen

BAD = (94, 6, 0, 0)
"""Six flips of 100, all for the worse: the interval lies beyond 3 points, the exact p is 2^-5 = 0.031."""
EVEN = (88, 6, 6, 0)
"""Twelve flips that could have been one-sided: p could have been 2^-11."""


def named(*counts: tuple[int, ...], **other: Any) -> list[EndpointEvidence]:
    return [endpoint(*one, battery=f"b{i}", **other) for i, one in enumerate(counts)]


def decided(*endpoints: EndpointEvidence, **rules: Any) -> Report:
    return decide(screen(contrast(*endpoints), **rules))


def first(report: Report) -> EndpointReport:
    return report.contrasts[0].endpoints[0]


def deciding(found: Any) -> list[str]:
    return [r.code for r in found.reasons if r.severity == "decides"]


def test_six_flips_one_way_fail_alone() -> None:
    found = first(decided(*named(BAD), h_cutoff=1.0))
    assert (found.verdict, deciding(found)) == (Verdict.failed, ["difference_outside_margin"])
    assert found.adjusted_p == pytest.approx(2.0**-5)


def test_among_two_endpoints_that_could_show_as_much_they_are_suspect() -> None:
    report = decided(*named(BAD, EVEN), h_cutoff=1.0)
    found = first(report)
    assert (report.verdict, report.exit_code) == (Verdict.inconclusive, 3)
    assert (found.verdict, deciding(found)) == (Verdict.inconclusive, ["suspect"])
    assert found.adjusted_p == pytest.approx(2 * 2.0**-5)
    why = found.reasons[0]
    assert why.values["codes"] == ["difference_outside_margin"]
    few, many = why.values["needed_80"], why.values["needed_90"]
    assert isinstance(few, int)
    assert isinstance(many, int)
    assert 100 < few < many
    assert why.values["needed"] == few
    again = f"run it again, {few:,} items at these rates decide with power 0.8, {many:,} with 0.9"
    assert again in why.message
    assert "worse: the interval" in why.message


def test_the_same_change_at_the_size_that_is_named_fails_as_often_as_said() -> None:
    """2,000 screens of the named size, drawn at the rates seen; standard error 0.009."""
    why = first(decided(*named(BAD, EVEN), h_cutoff=1.0)).reasons[0]
    n = why.values["needed_80"]
    assert isinstance(n, int)
    down = np.random.RandomState(5).binomial(n, 0.06, 2000)
    _, fails = regions(PairedTable(n - down, down, 0 * down, 0), Setting(0.03, 0.05, 1.0))
    stands = fails & (mcnemar(down, 0 * down, mid_p=False) < 0.05 / 2)
    assert float(stands.mean()) > 0.8 - 0.036


def test_endpoints_that_could_not_have_shown_as_much_cost_nothing() -> None:
    """Tarone: 39 arms without a flip, or with a few, leave the fail as it is; Holm would ask for 0.001."""
    quiet = [(100, 0, 0, 0), (97, 1, 1, 1), (96, 2, 2, 0)] * 13
    found = first(decided(*named(BAD, *quiet), h_cutoff=1.0))
    assert found.verdict is Verdict.failed
    assert found.adjusted_p == pytest.approx(2.0**-5)


def test_the_family_is_that_of_all_screened_contrasts_and_of_them_alone() -> None:
    bad, even = named(BAD)[0], named(EVEN)[0]
    both = decide(screen(contrast(bad), contrast(even, candidate="other"), h_cutoff=1.0))
    assert first(both).verdict is Verdict.inconclusive
    again = contrast(endpoint(*EVEN, battery="b0"), role="calibration")
    control = contrast(endpoint(60, 40, 0, 0, battery="b0"), role="positive_control")
    alone = decide(screen(contrast(bad), again, control, h_cutoff=1.0))
    assert first(alone).verdict is Verdict.failed


def test_controls_keep_the_rule_of_one_endpoint() -> None:
    """Six flips of 100 catch the control although 20 screened endpoints could have shown as much."""
    control = contrast(endpoint(*BAD, battery="b0"), role="positive_control")
    again = contrast(endpoint(*BAD, battery="b0"), role="calibration")
    report = decide(screen(contrast(*named(*[EVEN] * 20)), control, again, h_cutoff=1.0))
    caught, calibrated = (c.endpoints[0] for c in report.contrasts[1:])
    assert (caught.verdict, caught.adjusted_p) == (Verdict.failed, None)
    assert (calibrated.verdict, calibrated.adjusted_p) == (Verdict.failed, None)


def test_a_pass_needs_no_correction() -> None:
    report = decided(*named(*[(400, 0, 0, 0)] * 30))
    assert report.verdict is Verdict.passed
    assert {e.adjusted_p for e in report.contrasts[0].endpoints} == {None}
    codes = {r.code for r in report.reasons}
    assert {"intersection_union", "fails_adjusted"} <= codes


def test_screens_are_judged_as_the_rule_says_it_in_arrays() -> None:
    """Twelve random screens of eight endpoints, against regions, McNemar and Tarone-Holm by hand."""
    random, seen = np.random.RandomState(11), set()
    for _ in range(12):
        flips = random.poisson(random.choice([1.0, 4.0, 9.0], (8, 2)))
        counts = [(120 - int(b) - int(c), int(b), int(c), 0) for b, c in flips]
        found = decided(*named(*counts), h_cutoff=0.6).contrasts[0].endpoints
        a, b, c, d = np.array(counts, float).T
        _, fails = regions(PairedTable(a, b, c, d), Setting(0.03, 0.05, 0.6))
        p = mcnemar(b, c, mid_p=False)
        adjusted = tarone_holm(p, attainable_mcnemar_p(b + c))
        for i, one in enumerate(found):
            assert (one.verdict is Verdict.failed) == bool(fails[i] and adjusted[i] < 0.05)
            assert ("suspect" in deciding(one)) == bool(fails[i] and adjusted[i] >= 0.05)
            if fails[i]:
                assert one.adjusted_p == pytest.approx(adjusted[i])
            seen.add((bool(fails[i]), bool(adjusted[i] < 0.05)))
    assert {(True, True), (True, False), (False, False)} <= seen


def test_an_effect_at_the_ceiling_that_chance_makes_is_suspect() -> None:
    """12 flips of 1000 lie within the margin; what 40 endpoints would need has no margin in it."""
    ceiling, noisy = (988, 12, 0, 0), (480, 260, 260, 0)
    assert first(decided(*named(ceiling))).verdict is Verdict.failed
    report = decided(*named(ceiling, *[noisy] * 120))
    found = first(report)
    assert deciding(found) == ["suspect"]
    assert found.reasons[0].values["codes"] == ["effect_beyond_cutoff"]
    assert isinstance(found.reasons[0].values["needed_90"], int)


def test_an_effect_fails_only_beyond_what_the_same_stack_does() -> None:
    """h of -0.22 [-0.28, -0.11] is beyond the cutoff 0.1; where A/A reaches 0.3 it is noise."""
    ceiling = endpoint(988, 12, 0, 0)
    quiet = contrast(endpoint(1000, 0, 0, 0), role="calibration")
    assert first(decide(screen(contrast(ceiling), quiet))).verdict is Verdict.failed
    noisy = contrast(endpoint(900, 50, 50, 0), role="calibration")
    found = first(decide(screen(contrast(ceiling), noisy)))
    assert found.null_h_quantile is not None
    assert found.cohens_h_ci is not None
    assert found.null_h_quantile > -found.cohens_h_ci[1] > found.h_cutoff
    assert found.verdict is Verdict.inconclusive
    assert {"effect_not_below_cutoff", "cutoff_not_usable"} <= set(deciding(found))


def test_repeats_of_a_prompt_have_the_sign_flip_p_of_their_means() -> None:
    """Each prompt asked three times: seven clusters move, not 21 rows."""
    one = endpoint(93, 7, 0, 0, repeats=3)
    found = first(decided(one, h_cutoff=1.0))
    assert found.adjusted_p == pytest.approx(2.0**-6)
    # Only one repeat in three flips: sizes of 1/3, and the same signs.
    candidate = one.candidate.copy()
    candidate[one.reference > candidate] = [0.0, 1.0, 1.0] * 7
    assert sign_flip_test(np.r_[np.full(7, -1 / 3), np.zeros(93)]).p == pytest.approx(2.0**-6)
    assert first(decided(replace(one, candidate=candidate), h_cutoff=1.0)).verdict is not Verdict.failed


def test_scores_have_the_sign_flip_p_of_their_means() -> None:
    before = np.full(200, 0.8)
    after = before - np.r_[np.full(40, 0.35), np.zeros(160)]
    bad = outcomes(before, after, kind="continuous", scorer="harm")
    found = first(decided(bad))
    assert found.verdict is Verdict.failed
    assert found.adjusted_p == pytest.approx(2.0**-39, abs=1e-11)
    few = outcomes(before[:60], before[:60] - np.r_[np.full(5, 0.7), np.zeros(55)], kind="continuous")
    noisy = named((10, 50, 50, 0), (10, 50, 50, 0))
    alone = first(decided(few))
    if alone.verdict is Verdict.failed:
        assert deciding(first(decided(few, *noisy))) == ["suspect"]


def test_the_level_is_that_of_the_rules() -> None:
    """At alpha 0.1 the same six flips among two endpoints stand."""
    found = first(decided(*named(BAD, EVEN), h_cutoff=1.0, alpha=0.1))
    assert found.verdict is Verdict.failed


def test_non_inferiority_keeps_the_two_sided_p() -> None:
    """One-sided, six flips would have p = 2^-6 = 0.016."""
    found = first(decided(*named(BAD), h_cutoff=1.0, hypothesis="non_inferiority"))
    assert found.adjusted_p == pytest.approx(2.0**-5)


def test_what_equivalence_would_say_is_weighed_among_all_endpoints_too() -> None:
    better = (94, 0, 6, 0)
    evidence: tuple[ContrastEvidence, ...] = (contrast(*named(better, EVEN)),)
    report = decide(replace(screen(*evidence), rules=Rules(h_cutoff=1.0, hypothesis="non_inferiority")))
    said = next(r for r in report.reasons if r.code == "under_equivalence")
    assert said.values["verdict"] == "inconclusive"


def test_what_only_one_arm_answered_still_blocks_a_suspect_endpoint() -> None:
    one = replace(named(BAD)[0], reference_only=5)
    found = first(decided(one, named(BAD, EVEN)[1], h_cutoff=1.0))
    assert deciding(found) == ["suspect", "unmatched_items"]
