"""The real engine on a Ray cluster of one node: the same as local processes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.rundir.engine_record import compare_resolved
from tests.conftest import Tais, without_times

pytestmark = pytest.mark.engine

pytest.importorskip("ray", reason="Ray is not installed")

LIMIT = 4


def answers(run_dir: Path, arm: str) -> pa.Table:
    table = pa.concat_tables(
        [
            pq.read_table(part).replace_schema_metadata()
            for part in sorted((run_dir / "arms" / arm).glob("part-*"))
        ]
    )
    # How long an answer took is no part of it.
    return table.drop_columns("seconds").sort_by([("battery", "ascending"), ("item_id", "ascending")])


def test_local_and_ray_give_the_same_tokens_and_report(tais: Tais, tmp_path: Path) -> None:
    for executor in ("local", "ray"):
        done = tais("run", "quick", "--out", tmp_path / executor, "--limit", LIMIT, "--executor", executor)
        # Four items per battery decide nothing.
        assert done.returncode == 3, done.stderr
    local, ray = (next(tmp_path.glob(f"{name}/*/*/report.json")).parent for name in ("local", "ray"))
    assert (local / "manifest.lock.json").read_bytes() == (ray / "manifest.lock.json").read_bytes()
    for arm in ("target", "draft_model"):
        # Log-probabilities and drafts per step are equal, too: the batches were.
        assert answers(local, arm).equals(answers(ray, arm))
        engines = [json.loads((run / "arms" / arm / "engine.json").read_text()) for run in (local, ray)]
        for part in ("resolved", "environment"):
            assert not compare_resolved(engines[0][part], engines[1][part], ())
    reports = [json.loads((run / "report.json").read_text()) for run in (local, ray)]
    assert without_times(reports[0]) == without_times(reports[1])
