"""All misses of a complete audit together: when they fail a claim to be lossless (`law_drift`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tais.stats.drift import MissRate
from tais.verdict.drift_evidence import BatchShape, DriftEvidence, HonestControl
from tais.verdict.evidence import AuditCounts, AuditEvidence, ContrastEvidence
from tais.verdict.report import ContrastReport, Reason, Report
from tais.verdict.screen import decide
from tais.verdict.token_family import token_tests
from tests.stats.made import contrast, endpoint, screen

ITEMS, TOKENS = 520, 24


def misses(total: int) -> NDArray[np.int64]:
    """One miss in each of the first answers."""
    return (np.arange(ITEMS) < total).astype(np.int64)


def drift(candidate: int, reference: int = 6, **other: Any) -> DriftEvidence:
    """Misses of a candidate and of the reference, in other answers each; bfloat16 but where said."""
    own, found = misses(reference)[::-1], misses(candidate)
    tokens = ITEMS * TOKENS
    given: dict[str, Any] = {
        "shape": BatchShape(1, 16),
        "dtype": "bfloat16",
        "candidate_dtype": "bfloat16",
        "controls": (HonestControl("target", MissRate(tokens, reference), BatchShape(1, 16)),),
    }
    return DriftEvidence(
        reference_misses=own,
        candidate_misses=found,
        reference_margins=own / 10,
        candidate_margins=found / 10,
        candidate=MissRate(tokens, candidate),
        **(given | other),
    )


def audited(found: DriftEvidence, **other: Any) -> ContrastEvidence:
    none = AuditCounts()
    audit = AuditEvidence("full", found.dtype, 0.4, 0.4, none, none, drift=found)
    return contrast(endpoint(300), audit=audit, **other)


def said(report: ContrastReport) -> Reason | None:
    return next((r for r in report.reasons if r.code.startswith("law_drift")), None)


def judged(found: DriftEvidence, **other: Any) -> Reason | None:
    return said(decide(screen(audited(found, **other))).contrasts[0])


def test_a_target_that_was_tuned_for_some_steps_fails() -> None:
    found = judged(drift(73))
    assert found is not None
    assert (found.code, found.severity) == ("law_drift", "decides")
    # 67 answers with one more against 6 with one less, all one-sided: about C(79, 6) / 2 ** 79.
    assert float(str(found.values["p"])) < 1e-11
    assert "73 of 12480 tokens" in found.message
    assert decide(screen(audited(drift(73)))).contrasts[0].verdict.value == "fail"


@pytest.mark.parametrize("count", [0, 6, 12])
def test_honest_noise_of_another_batch_says_nothing_or_decides_nothing(count: int) -> None:
    assert judged(drift(count)) is None


def test_a_rise_that_honest_arms_reach_is_only_suspect() -> None:
    """Twice the misses of many: surely more, and no more than another batch makes."""
    found = judged(drift(260, 130))
    assert found is not None
    assert found.code == "law_drift_suspect"
    assert "honest stacks in bfloat16 reach" in found.message


def test_a_worse_honest_control_takes_the_blame() -> None:
    again = HonestControl("again", MissRate(ITEMS * TOKENS, 60), BatchShape(1, 64))
    made = drift(73)
    found = judged(replace(made, controls=(*made.controls, again)))
    assert found is not None
    assert (found.code, found.values["control"]) == ("law_drift_suspect", "again")


@pytest.mark.parametrize(
    ("controls", "code"),
    [
        ((), "law_drift_suspect"),
        ((BatchShape(1, 80),), "law_drift"),
        ((BatchShape(5, 4),), "law_drift"),
        ((BatchShape(1, 64),), "law_drift_suspect"),
        ((BatchShape(1, None),), "law_drift_suspect"),
    ],
    ids=["none", "as many rows in all", "as many rows of an answer", "other rows", "unknown"],
)
def test_a_control_computes_as_the_candidate_verifies(controls: tuple[BatchShape, ...], code: str) -> None:
    """The candidate verifies four drafted tokens of 16 answers at once: 5 rows each, 80 in all."""
    made = drift(73, shape=BatchShape(5, 16))
    honest = tuple(HonestControl(f"a{i}", MissRate(12_000, 5), shape) for i, shape in enumerate(controls))
    found = judged(replace(made, controls=(*made.controls, *honest)))
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"candidate_dtype": "unknown"}, "no control computes in unknown"),
        ({"dtype": "int3", "candidate_dtype": "int3"}, "was not measured"),
    ],
)
def test_what_was_not_measured_blocks_and_does_not_fail(changed: dict[str, Any], word: str) -> None:
    found = judged(drift(73, **changed))
    assert found is not None
    assert found.code == "law_drift_suspect"
    assert word in found.message


def test_what_claims_nothing_is_told_and_not_failed() -> None:
    for other in ({"lossless": False}, {"role": "calibration"}):
        found = judged(drift(73), **other)
        assert found is not None
        assert (found.code, found.severity) == ("law_drift", "note")


def test_drifts_of_a_screen_are_one_family() -> None:
    """statsmodels multipletests([a, b, b], method="holm"): the smallest times 3."""
    few, many = audited(drift(15)), audited(drift(73))
    (alone,) = token_tests([few])
    together = token_tests([few, many, contrast(endpoint(300))])
    assert alone.drift is not None
    # One other test is smaller, so this one keeps its own value; beside a larger one it is doubled.
    assert together[0].drift == pytest.approx(alone.drift)
    beside = token_tests([few, audited(drift(0, 40))])
    assert beside[0].drift == pytest.approx(2 * alone.drift)
    # Where the arms hardly differ no test could be so small, so a hundred of them cost nothing.
    equal = [audited(drift(0, missed)) for missed in (0, 1, 3)] * 30
    assert token_tests([few, *equal])[0].drift == pytest.approx(alone.drift)
    control = audited(drift(73), role="positive_control")
    assert token_tests([few, control])[0].drift == pytest.approx(alone.drift)
    assert together[2].drift is None


def test_without_a_complete_audit_nothing_is_claimed() -> None:
    none = AuditCounts()
    audit = AuditEvidence("divergences", "bfloat16", 0.4, 0.4, none, none)
    report: Report = decide(screen(contrast(endpoint(300), audit=audit)))
    assert said(report.contrasts[0]) is None
    assert report.contrasts[0].details["audit"]["drift"] is None  # type: ignore[index]
