"""The antidistillation experiment: its pieces by oracle, and the whole tool on the smallest sizes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from scipy import stats

from tais.errors import UsageError
from tests.conftest import ROOT
from tests.support import tool

figures = tool("antidistillation_figures")


@pytest.fixture
def threads() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_interval_over_seeds_is_students() -> None:
    values = [0.66, 0.63, 0.7, 0.58]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert figures.t_interval(values) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert figures.t_interval([0.5]) == (-math.inf, math.inf)


def test_the_matched_temperature_lies_where_the_curve_crosses() -> None:
    curve = [(1.5, 0.7), (1.0, 0.9), (2.0, 0.2)]
    assert figures.match(0.8, curve) == pytest.approx(1.25)
    assert figures.match(0.45, curve) == pytest.approx(1.75)
    assert figures.match(0.7, curve) == 1.5
    for beyond in (0.95, 0.1):
        with pytest.raises(UsageError, match="no temperature of the grid"):
            figures.match(beyond, curve)


def cells() -> list[object]:
    return [
        figures.Cell(0.0, 1.0, None, 90, 100, (0.7, 0.6), (0.2, 0.3)),
        figures.Cell(2.0, 1.0, None, 60, 100, (0.3, 0.1), (0.8, 0.9)),
        figures.Cell(0.0, 1.5, 2.0, 61, 100, (0.5, 0.5), (0.4, 0.4)),
    ]


def test_students_are_compared_seed_by_seed_with_those_of_the_matched_temperature() -> None:
    found = figures.against(cells(), cells()[1])
    assert found is not None
    assert found[0] == pytest.approx(0.3)
    expected = stats.ttest_1samp([0.2, 0.4], 0).confidence_interval(0.95)
    assert found[1] == pytest.approx((expected.low, expected.high))
    loss = figures.against(cells(), cells()[1], figures.losses_of)
    assert loss is not None
    assert loss[0] == pytest.approx(-0.45)
    assert figures.against(cells(), cells()[0]) is None
    assert figures.against(cells(), cells()[2]) is None


def test_table_and_plot_hold_every_row() -> None:
    lines = figures.table(cells()).splitlines()
    assert len(lines) == 2 + 3
    # Wilson for 60 of 100 (R: prop.test(60, 100, correct = FALSE)): 0.5020, 0.6906.
    assert "| 2 | 1.00 | 0.600 [0.502, 0.691] | 0.200 " in lines[3]
    svg = figures.draw(cells())
    assert svg.startswith(b"<?xml")
    assert svg == figures.draw(cells())


@pytest.mark.slow
def test_questions_of_loss_test_training_and_battery_are_disjoint() -> None:
    pytest.importorskip("torch")
    experiment = tool("antidistillation_experiment")
    sets = experiment.question_sets(experiment.Plan(questions=300, test=100))
    keys = [{e.key for e in examples} for examples in sets.values()] + [set(experiment.held_out())]
    assert [len(found) for found in keys[:3]] == [64, 100, 300]
    assert len(set().union(*keys)) == sum(map(len, keys))


@pytest.mark.slow
def test_the_examples_that_ship_are_those_of_the_experiment(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    experiment = tool("antidistillation_experiment")
    assert experiment.main(["--examples", str(tmp_path / "examples.jsonl")]) == 0
    shipped = ROOT / "manifests" / "antidistillation_examples.jsonl"
    assert (tmp_path / "examples.jsonl").read_bytes() == shipped.read_bytes()


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.usefixtures("threads")
def test_the_smallest_experiment_runs_goes_on_and_refuses_another_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    experiment = tool("antidistillation_experiment")
    sizes = ["--lambdas", "0", "2", "--grid", "1.4", "2.2", "--matched-on", "48", "--seeds", "1"]
    sizes += ["--questions", "48", "--epochs", "1", "--test", "8", "--out", str(tmp_path / "out")]
    assert experiment.main(sizes) == 0
    shown = capsys.readouterr().out
    assert shown == (tmp_path / "out" / "experiment.md").read_text()
    found = json.loads((tmp_path / "out" / "experiment.json").read_text())
    plain, steered, matched = found["cells"]
    assert (plain["strength"], steered["strength"], matched["matches"]) == (0.0, 2.0, 2.0)
    assert plain["right"] > steered["right"]
    assert matched["temperature"] > 1.0
    check = found["finite_difference"]
    assert check["largest_change_at_half_epsilon"] < 0.01 * check["largest_growth"]

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()}
    assert experiment.main(sizes) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()} == kept
    capsys.readouterr()
    assert experiment.main([*sizes, "--epsilon", "0.5"]) == 2
    assert "another plan" in capsys.readouterr().err
