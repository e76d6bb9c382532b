"""What a run holds, as files of other tools: read back by their own readers, and by TAIS's."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import tais as api
from tais.battery.logs.inspect_log import inspect_samples
from tests.attest.runs import SIGNED
from tests.conftest import Screen, Tais

TABLES = ("items", "samples", "scores", "endpoints", "flips")


def test_tables_hold_what_the_frames_hold(tais: Tais, small_run: Path, tmp_path: Path) -> None:
    run = api.open_run(small_run)
    readers = {
        "csv": lambda path: pd.read_csv(path, keep_default_na=False, na_values=[""]),
        "parquet": pd.read_parquet,
        "jsonl": lambda path: pd.read_json(path, lines=True),
    }
    for format, read in readers.items():
        done = tais("export", small_run, "--to", format, "--out", format)
        assert done.returncode == 0, done.stderr
        assert [Path(line).stem for line in done.stdout.split()] == list(TABLES)
        for name in TABLES:
            found, frame = read(tmp_path / format / f"{name}.{format}"), getattr(run, name)()
            assert list(found.columns) == list(frame.columns), (format, name)
            assert len(found) == len(frame)
    samples = pd.read_parquet(tmp_path / "parquet" / "samples.parquet")
    assert samples["text"].tolist() == run.samples()["text"].tolist()


def test_no_spreadsheet_takes_an_answer_for_a_formula(tais: Tais, screen: Screen, tmp_path: Path) -> None:
    rows = [{"id": f"m-{i}", "prompt": "=1+1" if i else " @x"} for i in range(100)]
    (screen.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert tais("run", screen.path, "--out", screen.out, "-q").returncode in (0, 3)
    assert tais("export", screen.out, "--to", "csv", "--out", "made").returncode == 0
    prompts = pd.read_csv(tmp_path / "made" / "items.csv")["prompt"]
    assert all(prompt.startswith("'") for prompt in prompts)


def test_logs_of_inspect_are_read_back_by_an_import(tais: Tais, small_run: Path, tmp_path: Path) -> None:
    done = tais("export", small_run, "--to", "inspect", "--out", "logs")
    assert done.returncode == 0, done.stderr
    run = api.open_run(small_run)
    texts = {(row["arm"], row["item_id"]): row["text"] for row in run.samples().to_dict("records")}
    for line in done.stdout.split():
        arm = Path(line).name.split(".")[0]
        samples = list(inspect_samples(tmp_path / line))
        assert len(samples) == len(run.items())
        assert all(sample.trouble is None for sample in samples)
        assert {(arm, sample.item_id): sample.text for sample in samples}.items() <= texts.items()
    log = json.loads((tmp_path / "logs" / "target.mine.json").read_text())
    (score,) = log["results"]["scores"]
    rate = next(iter(run.endpoints()["reference_rate"]))
    assert score["metrics"]["mean"]["value"] == pytest.approx(rate)


def test_nothing_is_replaced_and_nothing_goes_into_a_run(tais: Tais, small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert tais("export", small_run, "--to", "csv", "--out", "there").returncode == 2
    inside = small_run / "tables"
    done = tais("export", small_run, "--to", "csv", "--out", inside)
    assert done.returncode == 2
    assert "lies in a run" in done.stderr
    assert not inside.exists()
    assert tais("export", SIGNED.parent / "no_such", "--to", "csv").returncode == 4
