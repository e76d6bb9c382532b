"""``tais law bench``: what it measures, on laws and models whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.lab.reference.engine import shape_of
from tais.lab.verification import VERIFIERS, parse_shape
from tais.lab.workbench.bench import (
    PairQuestion,
    Point,
    SyntheticQuestion,
    configuration,
    names,
    pair_bench,
    pooled,
    synthetic_bench,
)
from tests.conftest import ROOT, Tais

# Importing torch takes longer than a unit test may; `make lab` and CI run the file.
pytestmark = pytest.mark.slow

DEMO = ROOT / "models" / "demo"


def synthetic(shape: str, divergence: float, rounds: int = 40) -> dict[str, Point]:
    question = SyntheticQuestion(parse_shape(shape), divergence, vocabulary=8, rounds=rounds)
    return {point.verifier: point for point in synthetic_bench(question, names(question.shape))}


def test_where_the_draft_is_the_target_a_pass_gives_the_whole_path() -> None:
    points = synthetic("paths:2x3", 0.0)
    for name in ("token", "block", "specinfer", "recursive", "kseq", "traversal"):
        assert points[name].efficiency == 4
        assert points[name].error == 0
    # Picking among equals refuses some, and sampling without looking at the draft meets it by chance.
    assert points["gbv"].efficiency < 4
    assert points["nss"].efficiency < points["gbv"].efficiency


def test_efficiency_falls_with_divergence_and_stays_within_the_path() -> None:
    near, far = synthetic("paths:2x3", 0.3), synthetic("paths:2x3", 2.0)
    for name in near:
        assert 1 <= far[name].efficiency <= 4
    assert far["block"].efficiency < near["block"].efficiency
    assert near["block"].advantage == 0


def test_each_verifier_is_measured_on_the_same_drafts() -> None:
    first, again = synthetic("delayed:1,2,2", 1.0, 10), synthetic("delayed:1,2,2", 1.0, 10)
    assert first == again


@pytest.mark.parametrize(
    "text",
    ["chain:4", "paths:3x4", "delayed:2,3,2", "entropy:1.5,3,4", "tree:3,2", "distinct:2,2", "topk:3,1"],
)
def test_the_reference_engine_drafts_the_shape_that_was_asked_for(text: str) -> None:
    shape = parse_shape(text)
    assert shape_of(configuration(shape, single=False)) == shape
    assert shape_of(configuration(shape, single=True)).depth == shape.depth


def test_a_pair_of_models_without_a_draft_gives_one_token_per_pass() -> None:
    question = PairQuestion(
        str(DEMO / "target"), str(DEMO / "draft"), ("demo_refuse",), items=2, max_tokens=12
    )
    how = configuration(parse_shape("paths:2x3"), single=False)
    plain, tree = pair_bench(question, [("", {}), ("traversal", how)])
    assert plain.efficiency == 1
    assert plain.passes == 0
    assert 1 < tree.efficiency <= 4
    assert tree.shape == "paths:2x3"
    assert tree.tokens_per_second is not None
    assert tree.tokens_per_second > 0


def test_tasks_are_put_together_by_their_passes() -> None:
    points = [
        Point("block", "chain:2", {"draft": "d", "task": task}, efficiency, 0.1, passes, None, None, speed)
        for task, efficiency, passes, speed in (("a", 2.0, 30, 100.0), ("b", 3.0, 10, 50.0))
    ]
    (one,) = pooled(points)
    assert one.efficiency == pytest.approx(2.25)
    assert one.passes == 40
    # 30 and 10 of 40 parts, each with the error 0.1.
    assert one.error == pytest.approx(0.1 * (30**2 + 10**2) ** 0.5 / 40)
    assert one.tokens_per_second == pytest.approx(200 / 3)


def test_the_command_writes_table_json_and_plot(tais: Tais, tmp_path: Path) -> None:
    chosen = ("--verifier", "block", "--verifier", "traversal")
    done = tais(
        "law", "bench", *chosen, "--shape", "paths:2x2", "--divergence", 0.5, "--rounds", 20,
        "--items", 1, "--battery", "demo_json", "--max-tokens", 8, "--out", tmp_path / "bench",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) == said
    # Two on made-up laws; with each of two drafts, two and plain decoding.
    assert len(said["points"]) == 2 + 2 * 3
    assert (tmp_path / "bench" / "bench.svg").read_bytes().startswith(b"<?xml")
    assert "tokens/pass" in done.stderr


def test_a_verifier_that_is_not_there_is_a_usage_error(tais: Tais) -> None:
    done = tais("law", "bench", "--verifier", "tokn", "--rounds", 1, "--items", 0)
    assert done.returncode == 2
    assert "Did you mean 'token'?" in done.stderr


def test_every_lossless_member_but_the_small_one_is_measured() -> None:
    assert set(names(parse_shape("paths:2x2"))) == {
        name for name, m in VERIFIERS.items() if m.claim == "lossless" and name != "khisti_lp"
    }
