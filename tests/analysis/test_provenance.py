"""A thing compared with itself is no comparison; equal answers of two stacks are what lossless means."""

from __future__ import annotations

import csv
import gzip
import io
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


def _packed(folder: Path) -> dict[str, object]:
    """Write the outputs of the target in other ways; return the path of an arm for each."""
    lines = (folder / "target.jsonl").read_text().splitlines(keepends=True)
    half = len(lines) // 2
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ("item_id", "text"))
    writer.writeheader()
    writer.writerows(json.loads(line) for line in reversed(lines))
    (folder / "turned.csv.gz").write_bytes(gzip.compress(table.getvalue().encode()))
    with pa.CompressedOutputStream(str(folder / "first.jsonl.zst"), "zstd") as file:
        file.write("".join(lines[:half]).encode())
    (folder / "rest.jsonl").write_text("".join(lines[half:]) + "\n")
    # The first half is the target's own file, and what follows says other words of the same kind.
    (folder / "first.jsonl").write_text("".join(lines[:half]))
    said = "".join(line.replace("that.", "this.").replace("take the", "get the") for line in lines[half:])
    (folder / "other.jsonl").write_text(said)
    return {
        "turned": "turned.csv.gz",
        "split": ["rest.jsonl", "first.jsonl.zst"],
        "halves": ["first.jsonl", "rest.jsonl"],
        "mixed": ["first.jsonl", "other.jsonl"],
    }


def test_equal_outputs_are_two_only_where_each_says_what_produced_it(tais: Tais, tmp_path: Path) -> None:
    path = write_screen(tmp_path)
    manifest = YAML(typ="safe").load(path)
    arms = {name: {"path": packed, "produced_by": TOOL} for name, packed in _packed(tmp_path).items()}
    del arms["turned"]["produced_by"]
    arms["other"] = {"path": "target.jsonl", "produced_by": {**TOOL, "host": "b"}}
    manifest["arms"]["target"] |= {"produced_by": TOOL}
    manifest["arms"] |= {name: {"engine": "import", **arm} for name, arm in arms.items()}
    manifest["contrasts"] = [
        {"reference": "halves" if name == "mixed" else "target", "candidate": name}
        for name in arms
        if name != "halves"
    ]
    YAML().dump(manifest, path)
    done = tais("run", path, "--out", "out")
    assert done.returncode == 3, done.stderr
    run_dir = _run_dir(done.stdout, tmp_path)
    contrasts = json.loads((run_dir / "report.json").read_bytes())["contrasts"]
    found = {
        c["candidate"]: (c["verdict"], {r["code"] for r in c["reasons"]} & SAID, c["identity"]["identical"])
        for c in contrasts
    }
    assert found == {
        "turned": ("inconclusive", {"same_evidence"}, 120),
        "split": ("inconclusive", {"same_evidence"}, 120),
        # The file that both arms list is not evidence of two stacks, whatever stands beside it.
        "mixed": ("inconclusive", {"same_evidence"}, 60),
        "other": ("pass", {"produced_by_unverified"}, 120),
    }
    whys = {c["candidate"]: r["message"] for c in contrasts for r in c["reasons"]}
    assert "give each imported arm its own produced_by" in whys["turned"]
    assert "both list the file first.jsonl" in whys["mixed"]
    assert "Unverified: the files of other" in (run_dir / "report.md").read_text()


def test_a_calibration_that_reads_the_reference_again_is_none(tais: Tais, tmp_path: Path) -> None:
    path = write_screen(tmp_path)
    manifest = YAML(typ="safe").load(path)
    del manifest["arms"]["again"]["produced_by"]
    YAML().dump(manifest, path)
    done = tais("run", path, "--out", "out")
    # The screen stands as it would without an A/A, and says so.
    assert done.returncode == 0, done.stderr
    report = json.loads((_run_dir(done.stdout, tmp_path) / "report.json").read_bytes())
    screened, again, _ = report["contrasts"]
    assert (again["role"], again["verdict"]) == ("calibration", "inconclusive")
    assert screened["endpoints"][0]["null_h_quantile"] is None
    (said,) = (r["message"] for r in report["reasons"] if r["code"] == "not_calibrated")
    assert said.startswith("not calibrated by again against target, which is no A/A")


def test_a_second_recording_of_the_reference_is_no_candidate(tais: Tais, tmp_path: Path) -> None:
    path = write_screen(tmp_path)
    manifest = YAML(typ="safe").load(path)
    arms = {name: {"engine": "import", "path": f"{name}.jsonl"} for name in ("target", "again", "candidate")}
    manifest["arms"] |= arms
    said = (tmp_path / "target.jsonl").read_text().replace("the tool", "a tool")
    (tmp_path / "again.jsonl").write_text(said)
    (tmp_path / "candidate.jsonl").write_text("".join(reversed(said.splitlines(keepends=True))))
    YAML().dump(manifest, path)
    done = tais("run", path, "--out", "out")
    assert done.returncode == 3, done.stderr
    run_dir = _run_dir(done.stdout, tmp_path)
    assert "same_evidence" in _codes(run_dir)
    assert "candidate is again" in (run_dir / "report.md").read_text()


def test_a_recording_is_not_compared_with_a_file_of_its_own_answers(
    tais: Tais, screen: Screen, tmp_path: Path
) -> None:
    """A file of nobody's that holds all answers of an arm of an earlier run may have been made of it."""
    screen.items(30)
    screen.data |= {"record": True, "contrasts": [], "arms": {"target": screen.data["arms"]["target"]}}
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    recorded = screen.run_dirs()[-1]
    rows = pq.read_table(recorded / "arms/target/part-00000.parquet", columns=["item_id", "text"]).to_pylist()
    (screen.folder / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = {"nobody": {}, "somebody": {"produced_by": TOOL}}
    screen.data["arms"] = {
        name: {"engine": "import", "path": "new.jsonl", **one} for name, one in said.items()
    }
    screen.write()
    tais("run", screen.path, "--out", screen.out)
    found = {}
    for name in said:
        sides = recorded, screen.run_dirs()[-1], "--reference", "target", "--candidate", name
        tais("compare", *sides, "--out", tmp_path / name)
        (made,) = (tmp_path / name).glob("*/*/report.json")
        found[name] = _codes(made.parent) & SAID
    assert found == {"nobody": {"same_evidence"}, "somebody": {"produced_by_unverified"}}


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
