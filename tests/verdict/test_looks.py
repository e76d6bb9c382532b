"""Endpoints that are looked at while they come in, from evidence alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.manifest.model import Role, Rules
from tais.stats.paired import PairedTable
from tais.stats.sequential import Boundary, Look
from tais.verdict.details import detail
from tais.verdict.details.contrast import ContrastLooks
from tais.verdict.details.endpoint import EndpointLooks, Unmatched
from tais.verdict.early_stop import rule_at, up_to
from tais.verdict.endpoint import judge_at
from tais.verdict.evidence import EndpointEvidence, LookEvidence, ScreenEvidence
from tais.verdict.report import EndpointReport, Report, Verdict
from tais.verdict.screen import decide, stop_of
from tests.stats.made import contrast, endpoint, outcomes

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

PLANNED = (60, 120, 180)


def looked(
    flips: dict[int, float], stop: int = 3, planned: tuple[int, ...] = PLANNED, **other: Any
) -> EndpointEvidence:
    """An endpoint of which one row in two is 1, but for rows whose outcome changes to 1 or 0.

    Rows after the block of look `stop` were not asked.
    """
    n, asked = planned[-1], planned[stop - 1]
    after = np.tile([1.0, 0.0], n)[:n].copy()
    before = after.copy()
    for row, outcome in flips.items():
        before[row], after[row] = 1 - outcome, outcome
    at = np.searchsorted(planned, np.arange(n), "right") + 1
    missing = np.bincount(at[asked:], minlength=len(planned) + 1)[1:]
    given: dict[str, Any] = {"kind": "obrien_fleming", "early": True, "endpoints": 1}
    looks = LookEvidence(
        planned=planned,
        at=at[:asked],
        reference_only=tuple(missing.tolist()),
        candidate_only=(0,) * len(planned),
        **(given | {key: other.pop(key) for key in list(other) if key in given}),
    )
    return outcomes(before[:asked], after[:asked], looks=looks, margin=0.06, **other)


def judged(*endpoints: EndpointEvidence, **rules: Any) -> Report:
    """Decide one contrast. It may pass; the screen cannot, as nothing shows its endpoints able to fail."""
    own = Rules(**({"h_cutoff": 1.0} | rules))
    return decide(ScreenEvidence("s", own, (contrast(*endpoints, tokens_per_answer=10.0),)))


def codes(report: Any, severity: str = "decides") -> list[str]:
    return [r.code for r in report.reasons if r.severity == severity]


def own(report: Report, index: int = 0) -> EndpointReport:
    return report.contrasts[0].endpoints[index]


def test_no_flips_pass_at_the_first_look_that_can() -> None:
    """0.94^60 = 0.024 is above the level of look 1 (0.0007), 0.94^120 = 0.0006 below 0.016 of look 2."""
    report = judged(looked({}, stop=2))
    found = own(report)
    assert report.contrasts[0].verdict is Verdict.passed
    assert (found.n, found.clusters) == (120, 120)
    assert codes(found) == ["equivalent"]
    assert found.tost is not None
    assert found.tost.equivalent
    assert found.tost.alpha < 0.05
    looks = detail(found, EndpointLooks)
    assert looks is not None
    assert (looks.look, looks.not_asked) == (2, 60)
    assert report.contrasts[0].details["sequential"] == {
        "kind": "obrien_fleming",
        "look": 2,
        "looks": 3,
        "stopped": "pass",
        "answers": 120,
        "answers_not_asked": 60,
        "tokens_saved": 600,
    }
    assert "stopped_early" in codes(report.contrasts[0], "note")
    # What was not asked is not missing.
    assert "unmatched_items" not in codes(found) + codes(found, "note")
    unmatched = detail(found, Unmatched)
    assert unmatched == Unmatched(reference_only=0, candidate_only=0, unanswered=0)


def test_a_candidate_that_is_worse_fails_early() -> None:
    report = judged(looked(dict.fromkeys(range(0, 60, 2), 0.0), stop=1))
    assert report.verdict is Verdict.failed
    assert codes(own(report)) == ["difference_outside_margin"]
    looks = detail(report.contrasts[0], ContrastLooks)
    assert looks is not None
    assert looks.stopped == "fail"


def test_a_better_candidate_passes_where_only_worse_counts() -> None:
    better = looked(dict.fromkeys(range(0, 60, 2), 1.0), stop=1)
    assert judged(better).verdict is Verdict.failed
    report = judged(better, hypothesis="non_inferiority")
    assert report.contrasts[0].verdict is Verdict.passed
    assert codes(own(report)) == ["not_inferior"]


def test_an_endpoint_keeps_its_pass_and_tells_what_came_later() -> None:
    """Look 2 passes; all 15 flips of look 3 come too late for it, as its alpha is spent."""
    late = looked(dict.fromkeys(range(121, 151, 2), 0.0))
    slow = looked({0: 0.0, 2: 0.0, 1: 1.0, 3: 1.0, 4: 0.0}, battery="slow")
    found = own(judged(late, slow))
    assert (found.verdict, found.n) == (Verdict.passed, 120)
    looks = detail(found, EndpointLooks)
    assert looks is not None
    assert looks.later is not None
    assert (looks.later.n, looks.later.equivalent) == (180, False)
    assert "later_answers_differ" in codes(found, "note")


def test_what_another_endpoint_stopped_is_undecided() -> None:
    bad = looked(dict.fromkeys(range(0, 60, 2), 0.0), stop=1)
    report = judged(bad, looked({}, stop=1, battery="other"))
    assert report.verdict is Verdict.failed
    assert own(report, 1).verdict is Verdict.inconclusive
    assert codes(own(report, 1)) == ["undecided_at_stop"]


def test_an_endpoint_that_is_seen_at_the_end_alone_forbids_an_early_pass() -> None:
    quick, hidden = looked({}), looked({}, battery="judged", early=False)
    report = judged(quick, hidden)
    assert report.contrasts[0].verdict is Verdict.passed
    assert [e.n for e in report.contrasts[0].endpoints] == [120, 180]
    assert own(report, 1).tost is not None
    assert own(report, 1).tost.alpha == 0.05  # type: ignore[union-attr]
    bad = looked(dict.fromkeys(range(0, 60, 2), 0.0), stop=1)
    stopped = judged(bad, looked({}, stop=1, battery="judged", early=False))
    assert [e.verdict.value for e in stopped.contrasts[0].endpoints] == ["fail", "inconclusive"]


def test_h_delays_a_pass_and_fails_nothing_before_the_end() -> None:
    """One flip from 1 of 180 outcomes that are else all 1: h = 2 asin(1 / sqrt(180)) = 0.149."""
    n = PLANNED[-1]
    looks = looked({}).looks
    ones, fallen = np.ones(n), np.ones(n)
    fallen[5] = 0
    one = replace(outcomes(ones, fallen, margin=0.1), looks=looks)
    at_two = judged(one, h_cutoff=1.0)
    assert own(at_two).n == 120
    delayed = judged(one, h_cutoff=0.15)
    # At look 2 h is 0.18; at the end it is below the cutoff.
    assert (own(delayed).verdict, own(delayed).n) == (Verdict.passed, 180)
    never = judged(one, h_cutoff=0.14)
    assert own(never).verdict is Verdict.inconclusive
    assert codes(own(never)) == ["effect_not_below_cutoff"]


def test_the_last_look_takes_what_is_left_where_answers_are_missing() -> None:
    """Levels follow the items that are in, and the last look takes the rest."""
    whole = looked({})
    assert whole.looks is not None
    keep = np.ones(180, bool)
    keep[[3, 70, 71, 150]] = False
    thin = EndpointEvidence(
        battery="mine", scorer="refusal", kind="binary", item_ids=whole.item_ids[keep],
        clusters=whole.clusters[keep], reference=whole.reference[keep], candidate=whole.candidate[keep],
        reference_invalid=whole.reference_invalid[keep], candidate_invalid=whole.candidate_invalid[keep],
        margin=0.06, looks=replace(whole.looks, at=whole.looks.at[keep], candidate_only=(1, 2, 1)),
    )  # fmt: skip
    from tais.verdict.endpoint import endpoint_setting

    setting = endpoint_setting(thin, Rules(), contrast(thin).role)
    rules = [rule_at(thin, look, setting) for look in (1, 2, 3)]
    assert [r.n for r in rules if r] == [59, 117, 176]
    assert rules[1] is not None
    assert rules[1].boundary._level(117) == pytest.approx(
        Boundary(0.06, (59, 117, 180), planned=180)._level(117)
    )
    assert rules[2] is not None
    assert rules[2].boundary == Boundary(0.06, (59, 117, 180)).ended(176)
    # Answers that only one arm has are counted up to the look, and could hide a failure.
    assert up_to(thin, 2).candidate_only == 3


def test_a_look_that_brings_nothing_new_is_none() -> None:
    small = looked({}, planned=(1, 1, 2, 2, 3), stop=5)
    from tais.verdict.endpoint import endpoint_setting

    setting = endpoint_setting(small, Rules(), contrast(small).role)
    assert [r and r.n for r in (rule_at(small, k, setting) for k in range(1, 6))] == [1, None, 2, None, 3]
    assert judged(small).verdict is Verdict.inconclusive


def test_repeats_and_clusters_count_once() -> None:
    looks = looked({}).looks
    assert looks is not None
    double = replace(endpoint(90, 0, 0, 90, repeats=2), margin=0.06)
    at = np.repeat(np.searchsorted(PLANNED, np.arange(180), "right") + 1, 2)
    report = judged(replace(double, looks=replace(looks, at=at)))
    assert (own(report).n, own(report).clusters) == (240, 120)


def test_rows_without_a_score_decide_nothing_early() -> None:
    broken = looked({})
    broken.candidate[3] = np.nan
    report = judged(broken)
    assert report.verdict is Verdict.inconclusive
    assert codes(own(report)) == ["nan_scores"]


@pytest.mark.parametrize("kind", ["obrien_fleming", "pocock", "betting"])
def test_the_stop_is_that_of_the_boundary_walked_by_hand(kind: str) -> None:
    """Random candidates: the first planned look at which the boundary decides, on the counts so far."""
    random = np.random.RandomState(7)
    planned = (50, 100, 150, 200)
    boundary = Boundary(0.06, planned, kind=kind)
    seen = set()
    for worse in (0.0, 0.02, 0.06, 0.3, 0.5) * 3:
        n = planned[-1]
        before = (random.random_sample(n) < 0.85).astype(float)
        after = np.where(random.random_sample(n) < worse, 1 - before, before)
        at = np.searchsorted(planned, np.arange(n), "right") + 1
        looks = LookEvidence(kind, planned, True, at, (0,) * 4, (0,) * 4)
        one = outcomes(before, after, looks=looks, margin=0.06)
        found = stop_of("spec", [contrast(one)], Rules(h_cutoff=2.0))
        assert found is not None
        states = [
            boundary.look(
                PairedTable(
                    m - int((before[:m] != after[:m]).sum()),
                    int((before[:m] > after[:m]).sum()),
                    int((before[:m] < after[:m]).sum()),
                    0,
                ),
                m,
            )
            for m in planned
        ]
        decided = [k for k, state in enumerate(states[:-1], 1) if state is not Look.go_on]
        assert found.look == (decided[0] if decided else 4)
        assert found.state is (states[decided[0] - 1] if decided else Look.go_on)
        verdict = own(judged(one, h_cutoff=2.0)).verdict
        last = states[decided[0] - 1] if decided else states[-1]
        assert (verdict is Verdict.passed) == (last is Look.passed)
        seen.add(found.state)
        # What was known at a look does not change what it decided.
        for look in range(1, found.look):
            assert stop_of("spec", [contrast(one)], Rules(h_cutoff=2.0), upto=look) == replace(
                found, look=4, state=Look.go_on
            )
    assert Look.failed in seen
    assert Look.passed in seen or kind == "betting"


def test_the_whole_decision_keeps_the_error_rate_of_a_wrong_pass() -> None:
    """Candidates that are worse by exactly the margin, h left out: at most alpha of them pass."""
    random = np.random.RandomState(3)
    planned, screens, passed = (50, 100, 150, 200), 600, 0
    at = np.searchsorted(planned, np.arange(200), "right") + 1
    looks = LookEvidence("obrien_fleming", planned, True, at, (0,) * 4, (0,) * 4)
    for screen in range(screens):
        draw = random.random_sample(200)
        # Discordance 0.08, difference -0.06.
        before = np.where(draw < 0.07, 1.0, np.where(draw < 0.08, 0.0, (draw < 0.5).astype(float)))
        after = np.where(draw < 0.08, 1 - before, before)
        one = outcomes(before, after, looks=looks, margin=0.06)
        stop = stop_of("spec", [contrast(one)], Rules(h_cutoff=2.0))
        assert stop is not None
        if stop.early:
            passes = stop.state is Look.passed
        else:
            passes = judge_at(one, Rules(h_cutoff=2.0), Role.screen, None, 4) is Verdict.passed
        passed += passes
        # The report of a whole decision costs ten times as much and says the same.
        if screen < 20:
            assert passes == (own(judged(one, h_cutoff=2.0)).verdict is Verdict.passed)
    # Three standard deviations of a rate of 0.05 over 600 screens.
    assert passed / screens <= 0.05 + 3 * (0.05 * 0.95 / screens) ** 0.5


def falling(flips: int, **other: Any) -> EndpointEvidence:
    """Each block of 60 loses so many of its outcomes; nothing else changes."""
    rows = [60 * block + 2 * k for block in range(3) for k in range(flips)]
    return looked(dict.fromkeys(rows, 0.0), **other)


@pytest.mark.parametrize("kind", ["obrien_fleming", "pocock", "betting"])
def test_a_fail_stops_only_where_it_stands_among_all_endpoints_of_the_plan(kind: str) -> None:
    """Twenty of 60 fall: exact p = 2^-19 = 1.9e-6. A hundred thousand endpoints leave 5e-7."""
    few = stop_of("spec", [contrast(falling(20, kind=kind))], Rules(h_cutoff=2.0))
    many = stop_of("spec", [contrast(falling(20, kind=kind, endpoints=100_000))], Rules(h_cutoff=2.0))
    assert few is not None
    assert many is not None
    # The second block makes it 2^-39, which stands among any number.
    assert (few.look, few.state) == (1, Look.failed)
    assert (many.look, many.state) == (2, Look.failed)


def test_what_stopped_a_candidate_is_not_revised_by_what_others_come_to() -> None:
    """The stop stands at m times its p, whatever stands beside it in the report."""
    bad = falling(28, stop=1, endpoints=3)
    first = decide(ScreenEvidence("s", Rules(h_cutoff=1.0), (contrast(bad),)))
    found = first.contrasts[0].endpoints[0]
    assert (found.verdict, found.n) == (Verdict.failed, 60)
    noisy = [contrast(endpoint(60, 60, 60, 0, battery=f"n{i}"), candidate=f"other{i}") for i in range(2)]
    again = decide(ScreenEvidence("s", Rules(h_cutoff=1.0), (contrast(bad), *noisy)))
    beside = again.contrasts[0].endpoints[0]
    assert (beside.verdict, beside.adjusted_p) == (Verdict.failed, found.adjusted_p)
    assert found.adjusted_p is not None
    assert found.adjusted_p < 0.05


def test_an_endpoint_that_fails_at_the_end_is_weighed_like_the_others() -> None:
    """35 fall and 12 rise of 180, evenly: beyond the margin at the last look, exact p = 0.001."""
    rows = dict.fromkeys(range(0, 175, 5), 0.0) | dict.fromkeys(range(1, 180, 15), 1.0)
    slow = looked(rows, endpoints=61)
    alone = decide(ScreenEvidence("s", Rules(h_cutoff=2.0), (contrast(slow),)))
    noisy = [contrast(endpoint(60, 60, 60, 0, battery=f"n{i}"), candidate=f"other{i}") for i in range(60)]
    among = decide(ScreenEvidence("s", Rules(h_cutoff=2.0), (contrast(slow), *noisy)))
    first, second = (r.contrasts[0].endpoints[0] for r in (alone, among))
    assert (first.verdict, first.n) == (Verdict.failed, 180)
    assert codes(second) == ["suspect"]
    assert first.adjusted_p is not None
    assert first.adjusted_p < 0.05 <= (second.adjusted_p or 0)


@pytest.mark.parametrize("kind", ["obrien_fleming", "pocock", "betting"])
def test_equal_stacks_stop_for_a_fail_at_alpha_over_their_number(kind: str) -> None:
    """300 fair candidates of one endpoint: what stops is at most alpha, within three errors."""
    random, planned = np.random.RandomState(4), (50, 100, 150, 200)
    at = np.searchsorted(planned, np.arange(200), "right") + 1
    looks = LookEvidence(kind, planned, True, at, (0,) * 4, (0,) * 4)
    stopped = 0
    for _ in range(300):
        before = (random.random_sample(200) < 0.7).astype(float)
        after = np.where(random.random_sample(200) < 0.3, (random.random_sample(200) < 0.7) * 1.0, before)
        one = outcomes(before, after, looks=looks, margin=0.03)
        found = stop_of("spec", [contrast(one)], Rules(h_cutoff=2.0))
        stopped += found is not None and found.state is Look.failed
    assert stopped / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
