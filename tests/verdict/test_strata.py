"""Items to refuse and items to answer are never averaged: the stratum joins every key of the decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tais.records import EndpointKey, stratum_label
from tais.verdict.details import detail, listed
from tais.verdict.details.contrast import AnyDiffers, PooledBatteries, ShownSensitivity
from tais.verdict.details.endpoint import Category, Null
from tais.verdict.details.screen import Dose
from tais.verdict.evidence import EndpointEvidence
from tais.verdict.report import Report, Verdict
from tais.verdict.screen import decide
from tests.stats.made import contrast, endpoint, outcomes, screen


def refuse(*counts: int, **other: Any) -> EndpointEvidence:
    return endpoint(*counts, stratum="refuse", **other)


def answer(*counts: int, **other: Any) -> EndpointEvidence:
    return endpoint(*counts, stratum="answer", **other)


def verdicts(report: Report) -> dict[str, str]:
    return {e.key.label: e.verdict.value for e in report.contrasts[0].endpoints}


def test_what_is_gained_here_does_not_pay_for_what_is_lost_there() -> None:
    # 30 harmful requests answered, 30 harmless ones no longer refused: one average would read 0.00 points.
    made = contrast(refuse(370, 30, 0, 0), answer(360, 0, 30, 10))
    report = decide(screen(made))
    assert report.verdict is Verdict.failed
    assert verdicts(report) == {"mine/refuse": "fail", "mine/answer": "fail"}
    assert [e.difference for e in report.contrasts[0].endpoints] == [-0.075, 0.075]
    together = decide(screen(contrast(endpoint(730, 30, 30, 10)))).contrasts[0].endpoints[0]
    assert together.difference == 0.0, "the same answers, averaged"


def test_an_endpoint_is_named_by_battery_and_stratum() -> None:
    assert stratum_label("mine", None) == "mine"
    key = EndpointKey("mine", "refuse", "refusal")
    assert (key.label, key.name) == ("mine/refuse", "mine/refuse/refusal")
    report = decide(screen(contrast(refuse(300, 60, 0, 0), answer(300))))
    failed = next(r for r in report.contrasts[0].reasons if r.code == "endpoint_failed")
    assert failed.message.startswith("mine/refuse/refusal: fail")
    assert (failed.values["battery"], failed.values["stratum"]) == ("mine", "refuse")


def test_calibration_is_pooled_within_a_stratum() -> None:
    again = contrast(refuse(200), answer(180, 10, 10, 0), role="calibration")
    report = decide(screen(contrast(refuse(200), answer(200)), again))
    nulls = [detail(e, Null) for e in report.contrasts[0].endpoints]
    assert [null and null.discordance for null in nulls] == [0.0, 0.1]


def test_a_control_speaks_for_the_stratum_in_which_it_is_caught() -> None:
    control = contrast(refuse(100, 100, 0, 0), answer(200), role="positive_control", identical=0.5)
    report = decide(screen(contrast(refuse(200), answer(200)), control))
    silent = [r for r in report.reasons if r.code == "endpoint_control_not_caught"]
    assert [r.values["stratum"] for r in silent] == ["answer"]


def test_every_summary_keeps_the_strata_apart() -> None:
    made = contrast(
        refuse(190, 10, 0, 0), answer(190, 0, 10, 0), refuse(190, 10, 0, 0, battery="other"),
        role="positive_control", candidate="draft",
    )  # fmt: skip
    report = decide(screen(contrast(refuse(200), answer(200)), made))
    control = report.contrasts[1]
    pooled = listed(control, PooledBatteries)
    assert [(p.stratum, p.batteries) for p in pooled] == [
        ("refuse", ("mine", "other")),
        ("answer", ("mine",)),
    ]
    assert [p.difference for p in pooled] == [-0.05, 0.05]
    adjusted = detail(control, AnyDiffers)
    assert adjusted is not None
    assert [(e.battery, e.stratum) for e in adjusted.endpoints] == [
        ("mine", "refuse"), ("mine", "answer"), ("other", "refuse"),
    ]  # fmt: skip
    (shown,) = listed(report.contrasts[0], ShownSensitivity)
    # Where the control is better it leaks nothing.
    assert [(e.battery, e.stratum) for e in shown.endpoints] == [("mine", "refuse"), ("other", "refuse")]


def test_a_dose_is_fitted_within_a_stratum() -> None:
    doses = [
        contrast(
            refuse(200 - lost, lost, 0, 0), answer(200 - lost, 0, lost, 0),
            candidate=f"k{dose}", candidate_properties={"k": float(dose)},
        )
        for dose, lost in ((1, 2), (5, 20), (9, 60))
    ]  # fmt: skip
    fitted = listed(decide(screen(*doses)), Dose)
    assert [(d.stratum, d.slope is not None and d.slope < 0) for d in fitted] == [
        ("refuse", True), ("answer", False),
    ]  # fmt: skip


def test_a_cluster_that_spans_strata_is_one_cluster_in_each() -> None:
    rows = np.ones(120)
    clusters = np.array([f"base-{i // 2}" for i in range(120)])
    made = [outcomes(rows, rows, stratum=s, clusters=clusters) for s in ("refuse", "answer")]
    report = decide(screen(contrast(*made)))
    assert [(e.n, e.clusters) for e in report.contrasts[0].endpoints] == [(120, 60), (120, 60)]


# Categories.


def grouped(groups: list[str], before: list[float], after: list[float], **other: Any) -> EndpointEvidence:
    return outcomes(before, after, groups=np.array(groups, dtype=np.str_), **other)


def categories(made: EndpointEvidence) -> tuple[Category, ...]:
    return listed(decide(screen(contrast(made))).contrasts[0].endpoints[0], Category)


def test_categories_have_intervals_and_p_values_adjusted_for_their_number() -> None:
    groups = ["drugs"] * 40 + ["theft"] * 60 + ["fraud"] * 80 + [""] * 20
    before = [1.0] * 200
    after = [0.0] * 8 + [1.0] * 32 + [0.0] * 1 + [1.0] * 159
    found = {c.category: c for c in categories(grouped(groups, before, after))}
    assert list(found) == ["drugs", "fraud", "theft"], "the clearest first, and rows without one left out"
    drugs = found["drugs"]
    assert (drugs.n, drugs.reference_rate, drugs.candidate_rate, drugs.difference) == (40, 1.0, 0.8, -0.2)
    # Two-sided binomial test of 8 flips of 8: 2 / 2^8. Benjamini-Hochberg over three categories.
    assert drugs.p == pytest.approx(2 / 256)
    assert drugs.adjusted_p == pytest.approx(3 * 2 / 256)
    assert (found["theft"].p, found["theft"].adjusted_p) == (1.0, 1.0)
    alone = outcomes(before[:40], after[:40])
    tost = decide(screen(contrast(alone))).contrasts[0].endpoints[0].tost
    assert tost is not None
    assert drugs.ci == tost.ci, "as if the category were all there is"


def test_one_flip_of_a_category_is_the_least_that_shows() -> None:
    found = categories(grouped(["a", "b"] * 30, [1.0] * 60, [0.0] + [1.0] * 59))
    assert [(c.category, c.p) for c in found] == [("a", 1.0), ("b", 1.0)]
    assert found[0].difference == pytest.approx(-1 / 30)


def test_categories_count_clusters_and_take_scores() -> None:
    clusters = np.array([f"base-{i // 2}" for i in range(40)])
    made = grouped(
        ["a"] * 20 + ["b"] * 20, [0.75] * 40, [0.5] * 20 + [0.75] * 20, kind="continuous", clusters=clusters
    )
    a, b = categories(made)
    assert (a.category, a.n, a.difference, b.difference) == ("a", 10, -0.25, 0.0)
    # All ten clusters one way: 2 / 2^10.
    assert a.p == pytest.approx(2 / 1024)


def test_categories_decide_nothing() -> None:
    groups = ["a"] * 8 + ["b"] * 592
    before, after = [1.0] * 600, [0.0] * 4 + [1.0] * 596
    plain = decide(screen(contrast(outcomes(before, after)))).contrasts[0].endpoints[0]
    split = decide(screen(contrast(grouped(groups, before, after)))).contrasts[0].endpoints[0]
    kept = {key: value for key, value in split.details.items() if key != "categories"}
    assert split.model_copy(update={"details": kept}) == plain
    assert listed(split, Category)[0].candidate_rate == 0.5
    assert not listed(plain, Category)
