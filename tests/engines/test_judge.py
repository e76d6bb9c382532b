"""A model judge on the real engine: vLLM on the CPU, with the demo judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Tais, without_times

pytestmark = pytest.mark.engine

LIMIT = 60


def test_a_judge_runs_after_the_arms_and_agrees_with_the_rules(tais: Tais, tmp_path: Path) -> None:
    done = tais("run", "judge", "--out", tmp_path / "out", "--limit", LIMIT)
    # 60 items per battery cannot pass at 3 points.
    assert done.returncode == 3, done.stderr
    assert done.stderr.index("draft_alone: done") < done.stderr.index("tiny: loading")
    (stored,) = tmp_path.glob("out/*/*/report.json")
    report: dict[str, Any] = json.loads(stored.read_text())
    (judge,) = report["details"]["judges"]
    assert judge["model"] == "demo-judge"
    assert judge["answers"] == 3 * 2 * LIMIT
    # Speculation changes no answer, so that one arm in three costs no call.
    assert judge["saved"] == judge["answers"] - judge["asked"] >= 2 * LIMIT
    assert sum(judge["unreadable"].values()) == 0
    for found in report["details"]["second_opinions"]:
        assert found["kappa"] > 0.9
    spec, alone = (
        [e["details"]["second_scorers"][0] for e in contrast["endpoints"]] for contrast in report["contrasts"]
    )
    assert sum(found["flips"] for found in spec) == 0
    assert sum(found["flips"] for found in alone) > 10
    assert sum(found["confirmed"] for found in alone) > 0.9 * sum(found["flips"] for found in alone)
    folder = stored.parent / "judges" / "tiny"
    replies = [
        text for part in folder.glob("part-*") for text in pq.read_table(part).column("text").to_pylist()
    ]
    assert len(replies) == judge["asked"]
    assert set(replies) == {"yes", "no"}
    engine = json.loads((folder / "engine.json").read_text())
    assert engine["resolved"]["model_config"]["model"].endswith("demo-judge")
    again = tais("report", stored.parent, "--format", "json")
    assert without_times(json.loads(again.stdout)) == without_times(report)
