"""What supports no pass: invalid answers, differences that nobody scored, drafts hardly ever accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tais.verdict.evidence import (
    Attribution,
    AuditCounts,
    AuditEvidence,
    Divergence,
    EndpointEvidence,
    TreatmentEvidence,
)
from tais.verdict.report import ContrastReport, EndpointReport, Verdict
from tais.verdict.screen import decide
from tests.stats.made import DRAFTED, contrast, endpoint, outcomes, screen


def codes(report: ContrastReport | EndpointReport) -> set[str]:
    return {r.code for r in report.reasons}


# Invalid answers.


def invalid(reference: int, candidate: int, n: int = 200) -> EndpointEvidence:
    """Answers that are all safe, of which some are invalid all the same."""
    first, second = (np.arange(n) < count for count in (reference, candidate))
    return endpoint(n, reference_invalid=first, candidate_invalid=second)


@pytest.mark.parametrize(
    ("counts", "blocks"),
    [((10, 10), False), ((10, 11), True), ((11, 0), True), ((200, 200), True), ((0, 0), False)],
)
def test_too_many_invalid_answers_of_one_arm_support_no_pass(counts: tuple[int, int], blocks: bool) -> None:
    found = decide(screen(contrast(invalid(*counts)))).contrasts[0].endpoints[0]
    assert ("too_many_invalid" in codes(found)) is blocks
    assert found.verdict is (Verdict.inconclusive if blocks else Verdict.passed)
    assert (found.reference_invalid, found.candidate_invalid) == counts


def test_the_rules_say_how_many_answers_may_be_invalid() -> None:
    strict = decide(screen(contrast(invalid(1, 0)), max_invalid=0)).contrasts[0].endpoints[0]
    assert "too_many_invalid" in codes(strict)
    lax = decide(screen(contrast(invalid(100, 100)), max_invalid=0.5)).contrasts[0].endpoints[0]
    assert lax.verdict is Verdict.passed


def test_invalid_answers_soften_no_fail() -> None:
    many = np.arange(400) < 80
    made = endpoint(250, 80, 0, 70, candidate_invalid=many, reference_invalid=~many)
    found = decide(screen(contrast(made))).contrasts[0].endpoints[0]
    assert found.verdict is Verdict.failed
    assert {r.code: r.severity for r in found.reasons}["too_many_invalid"] == "note"


def test_scores_in_between_are_blocked_alike() -> None:
    many = np.arange(200) < 30
    made = outcomes(np.full(200, 0.5), np.full(200, 0.5), kind="continuous", candidate_invalid=many)
    found = decide(screen(contrast(made))).contrasts[0].endpoints[0]
    assert found.verdict is Verdict.inconclusive
    assert "too_many_invalid" in codes(found)


def test_what_was_asked_and_nobody_answered_counts() -> None:
    whole = decide(screen(contrast(endpoint(150, unanswered=0)))).contrasts[0].endpoints[0]
    assert whole.verdict is Verdict.passed
    found = decide(screen(contrast(endpoint(150, unanswered=40)))).contrasts[0].endpoints[0]
    assert found.verdict is Verdict.inconclusive
    assert "unmatched_items" in codes(found)


def test_cut_answers_are_counted_by_arm() -> None:
    cut = np.arange(100) < 7
    found = decide(screen(contrast(endpoint(100, reference_cut=cut, candidate_cut=~cut)))).contrasts[0]
    assert (found.endpoints[0].reference_cut, found.endpoints[0].candidate_cut) == (7, 93)


# Divergences that no stack scored.


def first_difference(**where: Any) -> Divergence:
    given: dict[str, Any] = {
        "battery": "mine",
        "item_id": "mine-00001",
        "repeat": 0,
        "position": 4,
        "unit": "token",
        "reference_token": 5,
        "candidate_token": 6,
        "reference_margin": None,
        "candidate_margin": None,
    }
    return Divergence(**(given | where))


LENGTH = first_difference(reference_token=None, ends="reference")
SHORTER_TEXT = first_difference(unit="byte", reference_token=None, candidate_token=None, ends="candidate")
OTHER = first_difference()
CALLS = first_difference(unit="byte", reference_token=None, candidate_token=None, part="tool_calls")


@pytest.mark.parametrize(
    ("divergence", "verdict", "code"),
    [
        (LENGTH, "fail", "structural_divergence"),
        (SHORTER_TEXT, "fail", "structural_divergence"),
        (OTHER, "inconclusive", "divergences_unexplained"),
        (CALLS, "inconclusive", "divergences_unexplained"),
    ],
)
def test_a_claim_to_be_lossless_is_held_to_what_nobody_scored(
    divergence: Divergence, verdict: str, code: str
) -> None:
    claimed = contrast(endpoint(300), divergences=(divergence,), identical=299 / 300)
    found = decide(screen(claimed)).contrasts[0]
    assert found.verdict == verdict
    assert code in codes(found)
    # Whoever claims nothing is judged by the endpoints; and answers that are sampled are not the same.
    for other in (replace(claimed, lossless=False), replace(claimed, greedy=False)):
        assert decide(screen(other)).contrasts[0].verdict is Verdict.passed


def test_divergences_beyond_those_listed_have_no_cause() -> None:
    found = decide(screen(contrast(endpoint(300), identical=0.9))).contrasts[0]
    assert found.verdict is Verdict.inconclusive
    assert next(r for r in found.reasons if r.code == "divergences_left_out").values["divergences"] == 30


def test_a_calibration_is_judged_by_its_interval_alone() -> None:
    again = contrast(endpoint(300), role="calibration", divergences=(LENGTH, OTHER), identical=298 / 300)
    assert decide(screen(contrast(endpoint(300)), again)).contrasts[1].verdict is Verdict.passed


# Treatment.


@pytest.mark.parametrize(("answers_accepted", "applied"), [(149, False), (150, True), (None, False)])
def test_a_rule_may_ask_for_more_treatment(answers_accepted: int | None, applied: bool) -> None:
    drafted = TreatmentEvidence(
        "eagle", "eagle", 900, 900, 600, answers=300, answers_accepted=answers_accepted
    )
    report = decide(screen(contrast(endpoint(300), treatment=drafted), min_treatment=0.5))
    assert report.contrasts[0].treatment.applied is applied
    assert ("treatment_too_small" in codes(report.contrasts[0])) is not applied


@pytest.mark.parametrize(
    ("least", "below"),
    [(0.5, {2}), ((0.5,), set()), ((0.9,), {1}), ((0.5, 0.25), set()), ((0.0, 0.0, 0.9), set())],
)
def test_acceptance_is_asked_by_position_where_the_one_before_was_accepted(
    least: float | tuple[float, ...], below: set[int]
) -> None:
    # 600 of 1000 first tokens, 180 of the 600 second ones; of none of the third anything is known.
    drafted = TreatmentEvidence("eagle", "eagle", 1000, 2000, 780, (600, 180), (1000, 600), 300, 300)
    found = decide(screen(contrast(endpoint(300), treatment=drafted), min_acceptance=least)).contrasts[0]
    rare = [r for r in found.reasons if r.code == "acceptance_below_minimum"]
    assert {r.values["position"] for r in rare} == below
    assert found.verdict is (Verdict.inconclusive if below else Verdict.passed)
    assert [p.rate for p in found.treatment.by_position] == [0.6, 0.3]


def test_a_low_rate_that_chance_explains_is_none() -> None:
    # 9 of 20 against 0.5: the Wilson interval reaches to 0.66.
    drafted = TreatmentEvidence("eagle", "eagle", 20, 20, 9, (9,), (20,), 300, 300)
    found = decide(screen(contrast(endpoint(300), treatment=drafted), min_acceptance=0.5)).contrasts[0]
    assert found.verdict is Verdict.passed


def test_acceptance_that_nobody_counted_is_not_shown() -> None:
    found = decide(screen(contrast(endpoint(300), treatment=DRAFTED), min_acceptance=0.5)).contrasts[0]
    assert "acceptance_not_counted" in codes(found)
    assert found.verdict is Verdict.inconclusive


@pytest.mark.parametrize("cause", ["structural", "numerical", "tie", "unknown", "length", "unconfirmed"])
def test_a_token_that_is_not_there_is_the_end_of_an_answer(cause: Any) -> None:
    """An answer that ends has no token where the other has one, and its score may be missing."""
    for margin in (None, 3.5):
        found = Attribution("mine", "mine-00001", 0, 4, cause, None, None, margin)
        none = AuditCounts(0)
        audited = AuditEvidence("full", "float32", 1e-5, 1e-5, none, none, attributions=(found,))
        made = decide(screen(replace(contrast(endpoint(300), identical=299 / 300), audit=audited)))
        assert "None" not in " ".join(reason.message for reason in made.contrasts[0].reasons)


def test_noise_that_varies_is_said_where_nothing_finer_tells_what_is_sure() -> None:
    """Beside a band in bfloat16 the check in float32 says which tokens are held against an arm."""
    for dtype, said in (("float32", True), ("bfloat16", False)):
        audited = AuditEvidence("full", dtype, 1e-5, 1e-5, AuditCounts(2000), AuditCounts(12_000), sure=3e-5)
        found = decide(screen(contrast(endpoint(300), audit=audited))).contrasts[0]
        assert ("noise_varies" in codes(found)) is said, dtype
