"""What the views show of scorers and judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tais.cli.views.report import render_text
from tais.report.html.page import render_html
from tais.report.markdown import render_markdown
from tais.report.tables.scorers import scorer_tables
from tais.verdict.report import Report
from tests.report.factory import HOSTILE, contrast, endpoint, report

AGREEMENT = {
    "battery": "mine",
    "first": "refusal",
    "second": "judge_rubric@small",
    "n": 750,
    "observed": 0.98,
    "kappa": 0.912,
    "standard_error": 0.0123,
    "confusion": {"as expected": {"as expected": 735, "invalid": 15}},
    "disagreements": 15,
    "disagreeing_items": [
        {"item_id": "m-77", "repeat": 0, "arm": "spec", "first": "as expected", "second": "invalid"}
    ],
    "arms": [{"arm": "spec", "n": 400, "disagreements": 13, "share": 0.0325}],
}
JUDGE = {
    "judge": "small",
    "model": "org/judge",
    "engine": "vllm",
    "answers": 800,
    "asked": 321,
    "saved": 479,
    "unreadable": {"target": 0, "spec": 15},
}
FLIPS = {"scorer": "judge_rubric@small", "flips": 16, "confirmed": 11, "unseen": 4, "reversed": 1}
ERROR = {
    "reference": {"estimate": 0.905, "ci": [0.87, 0.94]},
    "candidate": {"estimate": 0.885, "ci": [0.85, 0.92]},
    "difference": {"estimate": -0.0117, "ci": [-0.033, 0.0093]},
}
BIAS = {"battery": "bbq", "arm": "target", "ambiguous": 0.126, "disambiguated": None, "untold": 3}


def judged(**changes: Any) -> Report:
    measured = endpoint(details={"second_scorers": [FLIPS], "judge_error": ERROR})
    details = {"judges": [JUDGE], "second_opinions": [AGREEMENT], "bias": [BIAS]}
    return report(contrast(endpoints=(measured,)), details={**details, **changes})


@pytest.mark.parametrize("view", ["html", "markdown", "terminal"])
def test_every_view_shows_calls_agreement_flips_corrections_and_bias(view: str, without_plots: None) -> None:
    one = judged()
    shown = {
        "html": lambda: render_html(one),
        "markdown": lambda: render_markdown(one).replace("&#46;", ".").replace("\\", ""),
        "terminal": lambda: render_text(one, Path("run"), verbose=True),
    }[view]()
    for said in ("321", "479", "spec: 15", "0.912", "0.012", "98.0 %", "3.2 %", "0.126"):
        assert said in shown, said
    for title in (
        "Model judges",
        "How far scorers agree",
        "How far scorers agree, by arm",
        "Flips that a second scorer confirms",
        "Bias scores",
    ):
        assert title in shown
    assert "Rates corrected" in shown
    assert "In what they differ" in shown
    assert "−1.17 pp" in shown
    # Single items are for the page.
    assert ("m-77" in shown) is (view == "html")


def test_a_report_without_judges_shows_none_of_it(without_plots: None) -> None:
    assert scorer_tables(report()) == []
    assert 'id="scorers"' not in render_html(report())


def test_two_labellings_of_one_outcome_have_no_kappa() -> None:
    table = next(
        t for t in scorer_tables(judged(second_opinions=[AGREEMENT | {"kappa": None}])) if "agree" in t.title
    )
    assert "not defined" in table.rows[0][4]


@pytest.mark.parametrize("foreign", [None, 7, "x", [None], [[]], [{}], [{"unreadable": [1], "n": "x"}]])
def test_details_that_are_not_as_written_break_no_view(foreign: Any, without_plots: None) -> None:
    one = judged(judges=foreign, second_opinions=foreign, bias=foreign)
    render_html(one)
    render_markdown(one)
    render_text(one, Path("run"), verbose=True)


def test_hostile_names_add_no_markup(without_plots: None) -> None:
    every = " ".join(HOSTILE.values())
    hostile = dict.fromkeys(AGREEMENT, every) | {"disagreeing_items": [{"item_id": every, "arm": every}]}
    one = judged(second_opinions=[hostile], judges=[dict.fromkeys(JUDGE, every)])
    assert "<script>alert" not in render_html(one)
    markdown = render_markdown(one)
    assert "](" not in markdown
    assert "://" not in markdown
    assert "\x1b" not in render_text(one, Path("run"), verbose=True)
