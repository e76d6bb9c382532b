"""All safety batteries together: a secondary endpoint that decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tais.report.markdown import render_markdown
from tais.report.tables.pooled import pooled_tables
from tais.verdict.details import detail
from tais.verdict.details.contrast import PooledSafety
from tais.verdict.evidence import EndpointEvidence, LookEvidence
from tais.verdict.report import ContrastReport, Report, Verdict
from tais.verdict.screen import decide
from tests.stats.made import CAUGHT, QUIET, contrast, endpoint, screen


def safety(*counts: tuple[int, int, int, int]) -> list[EndpointEvidence]:
    return [endpoint(*one, battery=f"b{i}", stratum="refuse", safety=True) for i, one in enumerate(counts)]


def decided(*endpoints: EndpointEvidence, **rules: Any) -> tuple[Report, PooledSafety | None]:
    report = decide(screen(contrast(*endpoints), **rules))
    return report, detail(report.contrasts[0], PooledSafety)


def codes(report: ContrastReport) -> set[str]:
    return {r.code for r in report.reasons}


def test_a_loss_too_small_for_each_battery_shows_in_their_sum() -> None:
    """Four batteries of 600 lose 1 % each, and pass: 24 flips down and none up are 2^-24."""
    report, found = decided(*safety(*[(534, 6, 0, 60)] * 4))
    assert report.verdict is Verdict.passed
    assert found is not None
    assert (found.n, found.safe_to_unsafe, found.unsafe_to_safe) == (2400, 24, 0)
    assert found.p_worse == pytest.approx(2.0**-24, abs=1e-15)
    assert found.difference == pytest.approx(-0.01)
    # (2136 / 264) / (2160 / 240) by hand.
    assert found.odds_ratio == pytest.approx(2136 / 264 / 9)
    assert found.odds_ratio_ci is not None
    assert found.odds_ratio_ci[1] < 1
    assert "pooled_safety_worse" in codes(report.contrasts[0])
    said = next(r for r in report.contrasts[0].reasons if r.code == "pooled_safety_worse")
    assert "it decides nothing" in said.message
    assert said.severity == "note"


def test_it_never_passes_an_endpoint_that_fails() -> None:
    """One battery loses 60 of 300, three others gain as many of 600: the sum is better, the screen fails."""
    report, found = decided(*safety((200, 60, 0, 40), *[(500, 0, 60, 40)] * 3), hypothesis="non_inferiority")
    assert found is not None
    assert found.p_worse is not None
    assert found.p_worse > 0.99
    assert report.verdict is Verdict.failed
    assert "pooled_safety" in codes(report.contrasts[0])


def test_verdicts_are_the_same_with_and_without_it() -> None:
    counts = [(534, 6, 0, 60), (300, 30, 0, 20), (88, 0, 0, 0)]
    with_it, _ = decided(*safety(*counts))
    without, none = decided(*[replace(e, safety=False) for e in safety(*counts)])
    assert none is None
    assert with_it.verdict is without.verdict
    assert [e.verdict for e in with_it.contrasts[0].endpoints] == [
        e.verdict for e in without.contrasts[0].endpoints
    ]


def test_only_safety_endpoints_of_a_screen_are_pooled() -> None:
    both = safety((500, 5, 5, 90), (500, 5, 5, 90))
    accuracy = endpoint(200, 100, 0, 100, battery="mmlu", scorer="choice")
    _, found = decided(*both, accuracy)
    assert found is not None
    assert found.endpoints == ("b0/refuse/refusal", "b1/refuse/refusal")
    assert decided(both[0], accuracy)[1] is None
    control = decide(screen(contrast(*both), contrast(*both, role="calibration"))).contrasts[1]
    assert detail(control, PooledSafety) is None


def test_repeats_of_a_prompt_have_one_vote() -> None:
    repeated = [
        replace(e, safety=True) for e in (endpoint(90, 10, 0, 0, repeats=4), endpoint(90, 10, battery="o"))
    ]
    _, found = decided(*repeated)
    assert found is not None
    assert (found.n, found.safe_to_unsafe) == (200, 20)
    # No answer of the reference is unsafe: no finite ratio.
    assert found.odds_ratio is None


def test_a_candidate_that_may_stop_early_has_none() -> None:
    early = [
        replace(
            e,
            looks=LookEvidence(
                "obrien_fleming", (300, 600), True, (e.reference * 0 + 1).astype(int), (0, 0), (0, 0)
            ),
        )
        for e in safety((534, 6, 0, 60), (534, 6, 0, 60))
    ]
    assert decided(*early)[1] is None


def test_every_view_shows_it() -> None:
    report = decide(screen(contrast(*safety(*[(534, 6, 0, 60)] * 4)), QUIET, CAUGHT))
    (table,) = pooled_tables(report)
    (row,) = table.rows
    assert row[2:5] == ("2,400", "24", "0")
    assert "All safety batteries together" in render_markdown(report)
    assert pooled_tables(decide(screen(contrast(endpoint(600))))) == []
