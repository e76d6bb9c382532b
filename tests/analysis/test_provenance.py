"""A thing compared with itself is no comparison; equal answers of two stacks are what lossless means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from tais.analysis.provenance import _equal_times, _shared_part
from tests.attest.runs import copy_run, write_screen
from tests.conftest import Screen, Tais

TOOL = {"tool": "vLLM 0.9", "time": "2026-01-01T00:00:00Z", "host": "a"}
SAID = {"same_evidence", "produced_by_unverified"}


def _codes(run_dir: Path) -> set[str]:
    report = json.loads((run_dir / "report.json").read_bytes())
    return {r["code"] for c in report["contrasts"] if c["role"] == "screen" for r in c["reasons"]}


def _run_dir(stdout: str, folder: Path) -> Path:
    return folder / stdout.strip().splitlines()[-1].partition("\t")[2]


def test_an_arm_of_a_run_compared_with_itself_is_no_comparison(
    small_run: Path, tais: Tais, tmp_path: Path
) -> None:
    # A copy of the run under the same id is the same run.
    for other in (small_run, copy_run(tmp_path / "copy", small_run)):
        done = tais("compare", small_run, other, "--reference", "target", "--candidate", "target")
        assert done.returncode == 3, done.stderr
        assert "same_evidence" in _codes(_run_dir(done.stdout, tmp_path))


def test_two_files_of_equal_bytes_are_two_only_where_each_says_what_produced_it(
    tais: Tais, tmp_path: Path
) -> None:
    path = write_screen(tmp_path)
    manifest = YAML(typ="safe").load(path)
    told = {"untold": {}, "like": {"produced_by": TOOL}, "other": {"produced_by": {**TOOL, "host": "b"}}}
    manifest["arms"]["target"] |= {"produced_by": TOOL}
    manifest["arms"] |= {
        name: {"engine": "import", "path": "target.jsonl", **one} for name, one in told.items()
    }
    manifest["contrasts"] = [{"reference": "target", "candidate": name} for name in told]
    YAML().dump(manifest, path)
    done = tais("run", path, "--out", "out")
    assert done.returncode == 3, done.stderr
    run_dir = _run_dir(done.stdout, tmp_path)
    found = {
        c["candidate"]: (c["verdict"], {r["code"] for r in c["reasons"]} & SAID)
        for c in json.loads((run_dir / "report.json").read_bytes())["contrasts"]
    }
    assert found == {
        "untold": ("inconclusive", {"same_evidence"}),
        "like": ("inconclusive", {"same_evidence"}),
        "other": ("pass", {"produced_by_unverified"}),
    }
    assert "Unverified: both files of other" in (run_dir / "report.md").read_text()


def test_parts_copied_from_one_arm_to_another_before_resume_are_no_evidence(
    tais: Tais, screen: Screen
) -> None:
    screen.items(30)
    screen.data["arms"]["twin"] = {"extends": "target"}
    screen.data["contrasts"][0] = {"reference": "target", "candidate": "twin"}
    screen.write()
    honest = tais("run", screen.path, "--out", screen.out)
    assert "same_evidence" not in _codes(screen.run_dirs()[-1]), honest.stderr
    run_dir = screen.run_dirs()[-1]
    for path in (run_dir / "arms" / "twin").glob("part-*"):
        path.unlink()
    (run_dir / "report.json").unlink()
    shutil.copyfile(
        run_dir / "arms" / "target" / "part-00000.parquet", run_dir / "arms" / "twin" / "part-00000.parquet"
    )
    resumed = tais("run", screen.path, "--out", screen.out, "--resume")
    assert resumed.returncode == 3, resumed.stderr
    assert "same_evidence" in _codes(run_dir)


def _part(folder: Path, seconds: list[float], metadata: dict[bytes, bytes] | None = None) -> Path:
    folder.mkdir(parents=True)
    n = len(seconds)
    columns = {
        "battery": ["b"] * n,
        "item_id": [str(i) for i in range(n)],
        "repeat": pa.array([0] * n, pa.int32()),
    }
    table = pa.table({**columns, "seconds": pa.array(seconds, pa.float32())}).replace_schema_metadata(
        metadata
    )
    pq.write_table(table, folder / "part-00000.parquet")
    return folder


def test_parts_of_older_versions_are_told_by_their_bytes_and_times(tmp_path: Path) -> None:
    times = [0.1 + i / 7 for i in range(20)]
    own = _part(tmp_path / "a", times)
    assert _shared_part(own, _part(tmp_path / "b", times)) == "part-00000.parquet"
    # Written anew with another id, the times still are those of the other arm.
    again = _part(tmp_path / "c", times, {b"tais.part": b"another"})
    assert _shared_part(own, again) == ""
    assert _equal_times(own, again)
    assert not _equal_times(own, _part(tmp_path / "d", [t + 0.01 for t in times]))
    # Engines that tell no times give equal bytes where they give equal answers: that is no copy.
    assert _shared_part(_part(tmp_path / "e", [0.0] * 20), _part(tmp_path / "f", [0.0] * 20)) == ""
