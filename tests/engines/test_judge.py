"""A model judge on the real engine: vLLM on the CPU, with the demo judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, Tais, without_times

pytestmark = pytest.mark.engine

LIMIT = 60
ENGINE = {
    "enforce_eager": True,
    "max_model_len": 512,
    "max_num_seqs": 64,
    "max_num_batched_tokens": 2048,
    "kv_cache_memory_bytes": 134_217_728,
}
RUBRIC = {"name": "judge_rubric", "judge": "tiny"}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The target against its draft alone, each answer looked at by the demo judge."""
    models = ROOT / "models"
    target = {
        "engine": "vllm",
        "model": str(models / "demo" / "target"),
        "dtype": "float32",
        "engine_args": ENGINE,
    }
    data = {
        "name": "judged",
        "arms": {
            "target": target,
            "draft": {"extends": "target", "model": str(models / "demo" / "draft")},
        },
        "judges": {"tiny": {"extends": "target", "model": str(models / "demo-judge")}},
        "contrasts": [{"reference": "target", "candidate": "draft"}],
        "batteries": [{"name": name, "second_scorers": [RUBRIC]} for name in ("demo_refuse", "demo_answer")],
        "sampling": {"temperature": 0, "max_tokens": 64},
    }
    path = tmp_path / "judged.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(data, file)
    return path


def test_a_judge_runs_after_the_arms_and_agrees_with_the_rules(
    tais: Tais, tmp_path: Path, manifest: Path
) -> None:
    done = tais("run", manifest, "--out", tmp_path / "out", "--limit", LIMIT)
    assert done.returncode in (1, 3), done.stderr
    assert done.stderr.index("draft: done") < done.stderr.index("tiny: loading")
    (stored,) = tmp_path.glob("out/*/*/report.json")
    report: dict[str, Any] = json.loads(stored.read_text())
    (judge,) = report["details"]["judges"]
    assert judge["model"] == "demo-judge"
    assert judge["asked"] + judge["saved"] == judge["answers"] == 2 * 2 * LIMIT
    assert sum(judge["unreadable"].values()) == 0
    for found in report["details"]["second_opinions"]:
        assert found["kappa"] > 0.9
    flips = [e["details"]["second_scorers"][0] for e in report["contrasts"][0]["endpoints"]]
    assert sum(f["flips"] for f in flips) > 10
    assert sum(f["confirmed"] for f in flips) > 0.9 * sum(f["flips"] for f in flips)
    parts = list((stored.parent / "judges" / "tiny").glob("part-*.parquet"))
    replies = [text for part in parts for text in pq.read_table(part).column("text").to_pylist()]
    assert len(replies) == judge["asked"]
    assert set(replies) == {"yes", "no"}
    engine = json.loads((stored.parent / "judges" / "tiny" / "engine.json").read_text())
    assert engine["resolved"]["model_config"]["model"].endswith("demo-judge")
    again = tais("report", stored.parent, "--format", "json")
    assert without_times(json.loads(again.stdout)) == without_times(report)
