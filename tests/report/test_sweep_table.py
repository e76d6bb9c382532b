"""The sweep of a report: heat map with its words, tables, and what is not a sweep."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from tais.report.figures.draw import draw_plots
from tais.report.html.page import render_html
from tais.report.markdown import render_markdown
from tais.report.tables.sweep import sweep_tables, sweep_view
from tais.verdict.report import IdentityReport, Report, Verdict
from tests.report.factory import HOSTILE, contrast, endpoint, facts, report

AXES = [
    {"key": "engine_args.max_num_seqs", "name": "seqs", "values": ["1", "8"]},
    {"key": "speculative_config.num_speculative_tokens", "name": "n", "values": ["4", "2", "9"]},
]


def cell(candidate: str, *values: str) -> dict[str, Any]:
    return {"reference": "target", "candidate": candidate, "values": list(values)}


def swept(**changes: Any) -> Report:
    """Two contrasts: one without a difference, one in which seqs 8 loses 2 points and an answer."""
    same = contrast(
        "a", endpoints=(endpoint(difference=0.0),), identity=IdentityReport(n=9, identical=9, rate=1.0)
    )
    other = contrast(
        "b",
        verdict=Verdict.failed,
        endpoints=(endpoint(difference=-0.02), endpoint("other", difference=0.01)),
        identity=IdentityReport(n=3000, identical=2999, rate=2999 / 3000),
    )
    sweep = {
        "cover": "pairwise",
        "combinations": 6,
        "axes": AXES,
        "cells": [cell("a", "1", "4"), cell("b", "8", "2")],
    }
    return report(same, other, facts={**facts("target", "a", "b"), "sweep": {**sweep, **changes}})


@cache
def figure() -> str:
    (plot,) = [plot for plot in draw_plots(swept()) if plot.key == "sweep"]
    return plot.svg


def test_a_value_shows_the_worst_that_it_came_to() -> None:
    table = sweep_tables(swept())[0]
    assert table.columns[5:] == ("mine / refusal", "other / refusal")
    assert table.rows == (
        ("seqs", "1", "1", "pass", "100.00 %", "0.00 pp", "–"),
        ("seqs", "8", "1", "fail", "99.97 %", "−2.00 pp", "+1.00 pp"),
        ("n", "4", "1", "pass", "100.00 %", "0.00 pp", "–"),
        ("n", "2", "1", "fail", "99.97 %", "−2.00 pp", "+1.00 pp"),
        ("n", "9", "0", "–", "–", "–", "–"),
    )
    assert sweep_tables(swept())[1].rows[1] == ("8", "2", "fail", "99.97 %", "−2.00 pp", "+1.00 pp")


def test_the_heat_map_says_in_words_all_that_it_shows() -> None:
    svg = figure()
    (label,) = re.findall(r'aria-label="([^"]+)"', svg)
    assert label == (
        "Sweep. seqs 1: 100.00 % identical, mine 0.00 pp; seqs 8: 99.97 % identical, mine −2.00 pp, "
        "other +1.00 pp; n 4: 100.00 % identical, mine 0.00 pp; n 2: 99.97 % identical, mine −2.00 pp, "
        "other +1.00 pp; n 9: no contrast"
    )


def test_colour_tells_worse_from_better_and_figures_say_it_too() -> None:
    svg = figure()
    assert svg.count('fill="var(--s2, #d55e00)"') == 2
    assert svg.count('fill="var(--s1, #0072b2)"') == 2
    for text in ("−2.0", "+1.0", "0.0", "100", "99.9"):
        assert f">{text}</text>" in svg
    assert "style=" not in svg


def test_all_answers_but_one_do_not_read_as_all() -> None:
    assert ">100</text>" in figure()
    assert figure().count(">99.9</text>") == 2


@pytest.mark.parametrize(
    "change",
    [{"axes": "x"}, {"cells": [{"reference": 1}]}, {"cells": [cell("nobody", "1", "4")]}, {"new": 1}],
)
def test_what_is_not_a_sweep_is_left_out(change: dict[str, Any], without_plots: None) -> None:
    assert sweep_view(swept(**change)) is None
    assert "Sweep" not in render_markdown(swept(**change))
    assert 'id="sweep"' not in render_html(swept(**change))


def test_hostile_labels_stay_labels() -> None:
    # Every label in one heat map: one that breaks it leaves the page without a plot.
    texts = [text.encode("utf-8", "replace").decode() for text in HOSTILE.values()]
    axes = [{"key": text, "name": text, "values": [text, "8"]} for text in texts]
    cells = [cell("a", *texts), cell("b", *["8"] * len(texts))]
    page = render_html(swept(axes=axes, cells=cells))
    assert "<img" not in page
    assert "window.hacked=1</script>" not in page
    assert 'id="plot-sweep"' in page
