"""A margin on the ratio of unsafe rates is shown as one, in every view."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tais.cli.views.report import render_text
from tais.report.figures.rows import forest
from tais.report.headline import headline
from tais.report.meaning import says
from tais.report.render import render
from tais.report.wording import change, interval_words, margin_alone, margin_words, strain, unsafe_ratio
from tais.verdict.report import EndpointReport, Report, TostReport, Verdict
from tais.verdict.screen import decide
from tests.report.factory import contrast, endpoint, report
from tests.stats.made import contrast as evidence
from tests.stats.made import endpoint as counts
from tests.stats.made import screen

RATIO = TostReport(
    method="nam-blackwelder", margin=0.25, alpha=0.05, p=0.01, ci=(0.9, 1.2), equivalent=True, scale="ratio"
)


def judged_by_ratio(**changes: Any) -> EndpointReport:
    """Unsafe rates of 4 % and 4.2 %: their ratio is 1.05."""
    rates: dict[str, Any] = {"reference_rate": 0.96, "candidate_rate": 0.958, "difference": -0.002}
    return endpoint(**{**rates, "tost": RATIO, **changes})


def one(found: EndpointReport) -> Report:
    return report(contrast(endpoints=(found,)), verdict=found.verdict)


def test_words_of_either_scale() -> None:
    ratio, points = judged_by_ratio(), endpoint()
    assert unsafe_ratio(ratio) == pytest.approx(1.05)
    assert (change(ratio), change(points)) == ("ratio 1.05", "−1.00 pp")
    assert interval_words(ratio.tost) == "ratio [0.9, 1.2]"
    assert interval_words(points.tost) == "[−2.81, +0.79] pp"
    assert margin_words(RATIO, one_sided=False) == "ratio 0.8 to 1.25"
    assert margin_words(RATIO, one_sided=True) == "ratio up to 1.25"
    assert margin_alone(RATIO) == "ratio 1.25"
    # Halving is as far as doubling.
    assert strain(RATIO.model_copy(update={"ci": (0.8, 1.0)}), False) == pytest.approx(1.0)
    assert strain(RATIO.model_copy(update={"ci": (0.8, 1.25)}), True) == pytest.approx(1.0)


def test_a_ratio_without_unsafe_outcomes_in_the_reference_is_open() -> None:
    none = judged_by_ratio(reference_rate=1.0, candidate_rate=0.99)
    assert unsafe_ratio(none) is None
    assert change(none) == "ratio –"


@pytest.mark.parametrize("view", ["md", "html", "junit", "terminal"])
def test_every_view_prints_the_ratio(view: str, tmp_path: Path, without_plots: None) -> None:
    # JUnit shows the figures of a criterion where no reason speaks for it.
    shown = one(judged_by_ratio(reasons=()))
    text = unescape(render_text(shown, tmp_path) if view == "terminal" else render(shown, view))
    assert "ratio 1.05" in text
    assert re.search(r"ratio\s*\[0\.9, 1\.2\]", text)
    # As points the interval would read [+90.00, +120.00] pp and the margin 25 pp.
    for wrong in ("90.00", "+120", "120.00", "25 pp"):
        assert wrong not in text


def test_the_top_and_the_meaning_say_the_ratio() -> None:
    shown = one(judged_by_ratio())
    top = headline(shown).decided
    assert top.value == "ratio 1.05"
    assert top.meaning.startswith(
        "ratio of outcomes that are not as expected on mine / refusal: 90 % interval"
    )
    assert "ratio [0.9, 1.2], margin ratio 0.8 to 1.25" in top.meaning
    first = says(shown)[0]
    assert "the margin (ratio 1.25)" in first
    assert "pp" not in first
    both = report(contrast(endpoints=(judged_by_ratio(), endpoint(battery="scores"))))
    assert "(3 pp and ratio 1.25)" in says(both)[0]


def test_ratios_have_a_figure_of_their_own() -> None:
    both = report(contrast(endpoints=(judged_by_ratio(), endpoint(battery="other"))))
    drawn = list(forest(both))
    assert [one.title for one in drawn] == ["Paired differences", "Ratios of unexpected outcomes"]
    assert "ratio 1.05 [0.9, 1.2]" in drawn[1].words
    assert "pp" not in drawn[1].words
    assert "ratio" not in drawn[0].words
    left, right = drawn[1].figure.axes[0].get_xlim()
    assert left == -right


def test_the_adjusted_p_of_a_fail_is_shown(without_plots: None) -> None:
    failed = endpoint(verdict=Verdict.failed, adjusted_p=0.0123)
    assert "adjusted, exact: 0.012" in render(one(failed), "html")


def test_the_decision_writes_the_scale() -> None:
    made = decide(screen(evidence(counts(4970, 0, 0, 30)), margin_scale="risk_ratio", margin=0.25))
    found = made.contrasts[0].endpoints[0]
    assert found.tost is not None
    assert found.tost.scale == "ratio"
    assert change(found) == "ratio 1"
    plain = decide(screen(evidence(counts(300)))).contrasts[0].endpoints[0]
    assert plain.tost is not None
    assert plain.tost.scale == "difference"
    # A report written before knows differences only.
    assert TostReport.model_validate(plain.tost.model_dump(exclude={"scale"})).scale == "difference"


def test_an_open_ratio_names_the_items_that_decide() -> None:
    made = decide(screen(evidence(counts(956, 12, 12, 20)), margin_scale="risk_ratio", margin=0.25))
    why = next(r for r in made.contrasts[0].endpoints[0].reasons if r.code == "interval_crosses_margin")
    few, many = why.values["needed_80"], why.values["needed_90"]
    assert isinstance(few, int)
    assert isinstance(many, int)
    assert 1000 < few < many
    assert "of the ratio of unsafe rates" in why.message
