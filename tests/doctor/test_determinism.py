"""Answers that differ are counted where they differ, and every way to ask goes the ordinary road of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.doctor.determinism import (
    DeterminismOptions,
    batch_invariance,
    compare_answers,
    variants,
)
from tests.conftest import ROOT, Tais

pytestmark = pytest.mark.slow

TARGET = str(ROOT / "models" / "demo" / "target")


def test_differing_answers_are_counted_with_their_first_place() -> None:
    one = {f"i{n}": (5, 6, 7, 8) for n in range(10)}
    other = one | {"i1": (5, 6, 9, 8), "i2": (5, 6, 7), "i3": (4,)}
    found = compare_answers(one, other)
    # statsmodels: proportion_confint(3, 10, method="wilson") -> 0.10779, 0.60322
    assert found["wilson"] == pytest.approx([0.107789, 0.603222], abs=1e-5)
    assert found == {
        "n": 10,
        "wilson": found["wilson"],
        "differing": 3,
        "share": 0.3,
        "first_divergences": [0, 2, 3],
        "median_first_divergence": 2.0,
    }
    # An item that one side lacks is no difference; nothing to compare is no share.
    assert compare_answers(one, {"i0": (1,)})["n"] == 1
    assert compare_answers(one, {})["share"] is None


def test_each_way_to_ask_changes_one_thing() -> None:
    options = DeterminismOptions("m", dtypes=("bfloat16",), batches=(8, 1), threads=(4, 1))
    listed = variants(options)
    assert [v.change for v in listed] == ["", "again", "shuffled", "batch_1", "threads_1"]
    settings = [(v.batch, v.order, v.threads) for v in listed]
    assert settings[0] == settings[1] == (8, "battery", 4)
    for other in settings[2:]:
        assert sum(a != b for a, b in zip(settings[0], other, strict=True)) == 1
    steady = [v for v in variants(options, invariant=True) if v.invariant]
    assert [(v.change, v.batch) for v in steady] == [("invariant", 8), ("invariant_batch_1", 1)]


@pytest.mark.parametrize(
    ("engine", "capability", "available"),
    [
        ("vllm", "8.0", True),
        ("vllm", "7.5", False),
        ("vllm", "[N/A]", False),
        ("transformers", "9.0", False),
    ],
)
def test_batch_invariance_needs_vllm_and_its_hardware(engine: str, capability: str, available: bool) -> None:
    found = batch_invariance(engine, [{"name": "x", "compute_capability": capability}])
    assert found["available"] is available
    assert found["why"]


@pytest.mark.slow
def test_arms_that_answer_alike_are_found_so(tais: Tais, tmp_path: Path) -> None:
    done = tais(
        "doctor", "--determinism", "--engine", "fake", "--model", "none", "--items", 3,
        "--battery", "demo_refuse", "--dtype", "float32", "--threads", 1, "--threads", 2,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    pairs = {(pair["reference"], pair["candidate"]): pair for pair in found["pairs"]}
    assert len(pairs) == 6
    assert all(pair["n"] == 3 and pair["differing"] == 0 for pair in pairs.values())
    # One run per number of threads, each with its report.
    assert len(found["runs"]) == 2
    assert all((Path(run) / "report.json").exists() for run in found["runs"])
    report = json.loads((Path(found["runs"][0]) / "report.json").read_text())
    assert {contrast["role"] for contrast in report["contrasts"]} == {"calibration"}
    assert "0 of 3" in done.stderr
    assert "not available" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "openai", "--model", "m"], "does not run engine 'openai'"),
        (["--engine-args", "{"], "--engine-args is no JSON"),
        (["--engine-args", "[1]"], "is no JSON object"),
        (["--battery", "no_such", "--model", "m"], "no_such"),
    ],
)
def test_what_cannot_be_measured_is_refused(tais: Tais, arguments: list[str], said: str) -> None:
    done = tais("doctor", "--determinism", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


@pytest.mark.nightly
@pytest.mark.engine
def test_float32_answers_hold_over_batches_and_orders(tais: Tais, tmp_path: Path) -> None:
    done = tais(
        "doctor", "--determinism", "--engine", "transformers", "--model", TARGET, "--dtype", "float32",
        "--battery", "demo_refuse", "--items", 8, "--batch", 8, "--batch", 3, "--max-tokens", 16,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pairs = json.loads(done.stdout)["pairs"]
    assert [pair["changed"] for pair in pairs if pair["from_reference"]] == ["again", "shuffled", "batch_3"]
    assert all(pair["n"] == 8 and pair["differing"] == 0 for pair in pairs)
