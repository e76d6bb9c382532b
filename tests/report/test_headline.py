"""The top of a report names the one number that decided."""

from __future__ import annotations

from tais.manifest.model import Hypothesis, Role, Rules
from tais.report.headline import headline
from tais.report.meaning import says, says_not
from tais.verdict.report import Reason, TostReport, Verdict
from tests.report.factory import contrast, control, endpoint, report


def tost(low: float, high: float) -> TostReport:
    return TostReport(method="tango", margin=0.03, alpha=0.05, p=0.01, ci=(low, high), equivalent=False)


def test_a_recording_does_not_pretend_that_something_was_compared() -> None:
    recorded = report(control(), verdict=Verdict.inconclusive)
    assert headline(recorded).claim.startswith("Nothing was screened")
    assert says(recorded)[0].startswith("Nothing was screened")


def test_a_pass_names_the_endpoint_nearest_to_its_margin() -> None:
    near, far = endpoint("near", tost=tost(-0.029, 0.001)), endpoint("far", tost=tost(-0.01, 0.01))
    top = headline(report(contrast(endpoints=(far, near))))
    assert top.verdict == "Pass"
    assert "near / refusal (spec)" in top.decided.meaning


def test_non_inferiority_looks_at_the_lower_bound_only() -> None:
    worse, better = endpoint("worse", tost=tost(-0.02, 0.0)), endpoint("better", tost=tost(0.1, 0.2))
    rules = Rules(hypothesis=Hypothesis.non_inferiority)
    top = headline(report(contrast(endpoints=(better, worse)), rules=rules))
    assert "worse / refusal" in top.decided.meaning
    assert "margin −3 pp" in top.decided.meaning
    assert "not worse" in top.claim


def test_a_fail_by_effect_size_names_h() -> None:
    beyond = Reason(
        code="effect_beyond_cutoff", message="the interval of h lies wholly beyond the cutoff 0.1"
    )
    one = endpoint(verdict=Verdict.failed, cohens_h=-0.4, reasons=(beyond,))
    top = headline(report(contrast(endpoints=(one,), verdict=Verdict.failed), verdict=Verdict.failed))
    assert top.decided.value == "h = −0.400"
    assert "wholly beyond the cutoff" in top.decided.meaning


def test_an_undecided_endpoint_says_how_many_items_would_decide() -> None:
    crosses = Reason(code="interval_crosses_margin", message="crosses", values={"needed": 1234})
    one = endpoint(verdict=Verdict.inconclusive, reasons=(crosses,))
    undecided = contrast(endpoints=(one,), verdict=Verdict.inconclusive)
    top = headline(report(undecided, verdict=Verdict.inconclusive))
    assert top.decided.value == "−1.00 pp"
    assert "1,234 items would decide" in top.decided.meaning


def test_a_blocked_pass_names_what_blocks_it() -> None:
    why = Reason(code="treatment_not_applied", message="ngram was asked for and drafted no token")
    blocked = contrast(verdict=Verdict.inconclusive, reasons=(why,))
    top = headline(report(blocked, verdict=Verdict.inconclusive))
    assert (top.decided.value, top.decided.meaning) == ("treatment not applied", why.message)


def test_without_a_control_nothing_is_said_to_have_been_visible() -> None:
    one = report(contrast(details={}))
    assert headline(one).seen.value == "not shown"
    assert "That a leak would have been seen: no positive control was run." in says_not(one)


def test_what_a_pass_says_and_does_not_say() -> None:
    said, not_said = " ".join(says(report())), " ".join(says_not(report()))
    assert "With 95 % confidence" in said
    assert "250 of 400 drafted tokens were accepted" in said
    assert "bad against target was caught" in said
    assert "That either arm is safe" in not_said
    assert "less than 10 % of bad is absent" in not_said
    assert "no calibration contrast was run" in not_said
    calibrated = report(contrast(), contrast("again", role=Role.calibration, items=None), control())
    assert "no calibration contrast" not in " ".join(says_not(calibrated))
