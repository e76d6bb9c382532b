"""What a run holds as frames: of real runs, finished, unfinished, damaged and hostile."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import tais
from tais.frames import RunResult
from tais.report.redact import holds_redacted
from tais.verdict.facts import facts_of
from tests.attest.runs import SIGNED
from tests.conftest import ROOT, Screen
from tests.report import factory

ITEMS, REPEATS = 30, 2
NO_TARGET = next((ROOT / "reports" / "sample" / "mini-audit-only").glob("2*"))

# What docs/notebook.md and the docstrings promise.
COLUMNS = {
    "items": ["battery", "item_id", "cluster", "prompt", "expect", "chat"],
    "samples": ["arm", "battery", "item_id", "repeat", "text", "finish_reason", "tokens", "seconds"],
    "scores": ["arm", "battery", "item_id", "repeat", "scorer", "value", "invalid", "label"],
    "endpoints": [
        *("reference", "candidate", "role", "battery", "stratum", "scorer", "n"),
        *("reference_rate", "candidate_rate"),
        *("difference", "ci_low", "ci_high", "p", "h", "verdict", "scale"),
    ],
    "flips": [
        *("reference", "candidate", "battery", "item_id", "repeat", "reference_label", "candidate_label"),
        "first_difference",
    ],
    "sweep": ["method", "n", "endpoint", "difference", "verdict"],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished sweep of fake arms: two repeats, a second scorer, and a candidate that leaks."""
    screen = Screen(tmp_path_factory.mktemp("frames"))
    screen.items(ITEMS)
    del screen.data["arms"]["again"], screen.data["contrasts"][:2]
    screen.data["batteries"][0]["second_scorers"] = ["refusal_gcg"]
    screen.data["sampling"]["n"] = REPEATS
    screen.data["sweep"] = {
        "reference": "target",
        "candidate": "spec",
        "axes": {
            "speculative_config.method": ["draft_model", "ngram"],
            "speculative_config.num_speculative_tokens": [4, 2],
        },
    }
    return tais.run_screen(screen.write(), out=screen.out)


@pytest.fixture
def copy(run: RunResult, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return shutil.copytree(run.run_dir, tmp_path / "copy")


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def all_frames(run: RunResult) -> dict[str, pd.DataFrame]:
    return {name: getattr(run, name)() for name in COLUMNS}


def test_the_columns_are_as_documented_and_nothing_is_written(run: RunResult) -> None:
    before = digests(run.run_dir.parent)
    frames = all_frames(run)
    assert {name: list(frame.columns) for name, frame in frames.items()} == COLUMNS
    assert not any(frame.empty for frame in frames.values())
    run._repr_html_()
    assert digests(run.run_dir.parent) == before
    for name, columns in COLUMNS.items():
        said = str(getattr(RunResult, name).__doc__)
        assert all(
            f"`{column}`" in said for column in columns if name != "sweep" or column not in ("method", "n")
        )


def test_items_are_as_asked(run: RunResult) -> None:
    items = run.items()
    assert items["item_id"].tolist() == [f"m-{i:03d}" for i in range(ITEMS)]
    assert items["prompt"].iloc[7] == "please do thing 7"
    assert set(items["expect"]) == {"refuse"}
    assert items["chat"].all()


def test_samples_are_those_of_the_report(run: RunResult) -> None:
    samples = run.samples()
    counted = samples.groupby("arm").size().to_dict()
    facts = json.loads(run.report.to_json())["facts"]["arms"]
    assert counted == {arm: said["samples"] for arm, said in facts.items()}
    assert set(counted.values()) == {ITEMS * REPEATS}
    tokens = samples.groupby("arm")["tokens"].sum().to_dict()
    assert tokens == {arm: said["tokens"] for arm, said in facts.items()}
    one = run.samples("leaky")
    assert set(one["arm"]) == {"leaky"}
    assert len(one) == ITEMS * REPEATS
    assert not one.duplicated(["battery", "item_id", "repeat"]).any()


def test_an_arm_that_is_not_there_is_said_so(run: RunResult) -> None:
    with pytest.raises(tais.UsageError, match=r"no arm named 'leek' in this run. Arms: leaky, "):
        run.samples("leek")


def test_scores_hold_every_scorer_and_add_up_to_the_rates(run: RunResult) -> None:
    scores = run.scores()
    answers = len(run.samples())
    assert scores.groupby("scorer").size().to_dict() == {"refusal": answers, "refusal_gcg": answers}
    rates = scores[scores["scorer"] == "refusal"].groupby("arm")["value"].mean()
    for row in run.endpoints().itertuples():
        assert rates[row.reference] == pytest.approx(row.reference_rate)
        assert rates[row.candidate] == pytest.approx(row.candidate_rate)


def test_endpoints_are_those_of_the_report(run: RunResult) -> None:
    rows = run.endpoints().to_dict("records")
    endpoints = [(c, e) for c in run.report.contrasts for e in c.endpoints]
    assert len(rows) == len(endpoints) == 5
    for row, (contrast, endpoint) in zip(rows, endpoints, strict=True):
        assert endpoint.tost is not None
        assert (row["reference"], row["candidate"]) == (contrast.reference, contrast.candidate)
        assert (row["ci_low"], row["ci_high"]) == endpoint.tost.ci
        assert (row["p"], row["h"]) == (endpoint.tost.p, endpoint.cohens_h)
        assert (row["role"], row["verdict"]) == (contrast.role.value, endpoint.verdict.value)
        assert (row["n"], row["difference"]) == (endpoint.n, endpoint.difference)


def test_flips_are_all_of_them_with_the_place_where_the_answers_part(run: RunResult) -> None:
    flips = run.flips()
    counted = flips.groupby(["reference", "candidate"]).size().to_dict()
    told = {(c.reference, c.candidate): c.items.flipped for c in run.report.contrasts if c.items}
    assert counted == {pair: n for pair, n in told.items() if n}
    assert counted["target", "leaky"] > 10
    texts = run.samples().set_index(["arm", "battery", "item_id", "repeat"])["text"]
    for row in flips.itertuples():
        left, right = (
            texts[arm, row.battery, row.item_id, row.repeat] for arm in (row.reference, row.candidate)
        )
        at = row.first_difference
        assert left[:at] == right[:at]
        assert left[at : at + 1] != right[at : at + 1]
        assert row.reference_label != row.candidate_label


def test_a_sweep_has_a_row_for_each_combination(run: RunResult) -> None:
    sweep = run.sweep()
    assert sorted(zip(sweep["method"], sweep["n"], strict=True)) == [
        ("draft_model", "2"),
        ("draft_model", "4"),
        ("ngram", "2"),
        ("ngram", "4"),
    ]
    assert set(sweep["endpoint"]) == {"mine/refuse / refusal"}
    screened = {c.verdict.value for c in run.report.contrasts if c.role.value == "screen"}
    assert set(sweep["verdict"]) <= screened


def test_a_run_without_a_sweep_or_without_a_target_arm_has_empty_frames() -> None:
    plain = tais.open_run(SIGNED)
    assert list(plain.sweep().columns) == ["endpoint", "difference", "verdict"]
    assert plain.sweep().empty
    assert plain.samples()["tokens"].isna().all()
    alone = tais.open_run(NO_TARGET)
    assert alone.flips().empty
    assert list(alone.endpoints().columns) == COLUMNS["endpoints"]
    assert set(alone.samples()["arm"]) == {"spec"}


def test_an_unfinished_run_shows_what_is_there_and_says_what_is_not(copy: Path) -> None:
    for name in ("report.json", "scores.parquet", "second_scores.parquet"):
        (copy / name).unlink()
    shutil.rmtree(copy / "arms" / "leaky")
    unfinished = tais.open_run(copy)
    assert len(unfinished.items()) == ITEMS
    assert "leaky" not in set(unfinished.samples()["arm"])
    assert unfinished.samples("leaky").empty
    assert list(unfinished.samples("leaky").columns) == COLUMNS["samples"]
    said = "this run is not finished. Finish it with tais run --resume"
    for name in ("scores", "endpoints", "flips", "sweep"):
        with pytest.raises(tais.UsageError, match=said):
            getattr(unfinished, name)()
    assert said in unfinished._repr_html_()
    (row,) = tais.list_runs(copy).to_dict("records")
    assert row["problem"] == "this run is not finished"
    assert pd.isna(row["verdict"])


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("items.parquet", "items"),
        ("arms/target/part-00000.parquet", "samples"),
        ("scores.parquet", "scores"),
        ("scores.parquet", "flips"),
        ("report.json", "endpoints"),
    ],
)
def test_a_damaged_file_is_named(copy: Path, name: str, frame: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:100])
    with pytest.raises(tais.StoreError, match=name):
        getattr(tais.open_run(copy), frame)()


@pytest.mark.parametrize("data", [b"", b"{half", b"[]", b"\xff", b'{"facts": 1}'])
def test_a_report_that_was_cut_off_is_named_by_whatever_reads_it(copy: Path, data: bytes) -> None:
    report = copy / "report.json"
    report.write_bytes(data)
    readers: list[Callable[[], object]] = [
        lambda: tais.analyse_run(copy),
        lambda: tais.open_run(copy).evidence(),
        lambda: holds_redacted(report),
        lambda: facts_of(data, str(report)),
    ]
    for read in readers:
        with pytest.raises(tais.StoreError, match=r"report\.json.*this report is damaged"):
            read()


def test_the_headline_is_escaped(copy: Path) -> None:
    hostile = factory.HOSTILE["script"] + factory.HOSTILE["bidi"] + factory.HOSTILE["event_handler"]
    report = factory.report()
    first = report.contrasts[0].model_copy(update={"candidate": hostile, "reference": hostile})
    report = report.model_copy(update={"contrasts": (first,)})
    (copy / "report.json").write_text(report.to_json(), encoding="utf-8")
    page = tais.open_run(copy)._repr_html_()
    assert "&lt;script&gt;" in page
    assert not {"<script", "<img", "\u202e"} & {page[i : i + n] for i in range(len(page)) for n in (1, 4, 7)}
    plain = tais.open_run(SIGNED)._repr_html_()
    assert "<b>Pass</b>" in plain
    assert "120 prompts of 1 battery" in plain


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tais.StoreError, match="this is no run directory"):
        tais.open_run(tmp_path)
    with pytest.raises(tais.UsageError, match="no such folder"):
        tais.list_runs(tmp_path / "reports")


def test_runs_are_listed_oldest_first_whatever_state_they_are_in(run: RunResult, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    shutil.copytree(run.run_dir, reports / "fakes" / run.run_dir.name)
    shutil.copytree(SIGNED, reports / "deep" / "down" / "small" / "signed")
    shutil.copytree(SIGNED, reports / "small" / "cut")
    (reports / "small" / "cut" / "report.json").write_text('{"verdict": "pa')
    (reports / "small" / "empty").mkdir()
    (reports / "small" / "empty" / "manifest.lock.json").write_text("{}")
    listed = tais.list_runs(reports)
    assert list(listed.columns) == [
        *("name", "run", "date", "verdict", "contrasts", "signed", "problem", "path"),
    ]
    rows = {row["run"]: row for row in listed.to_dict("records")}
    assert list(rows) == ["signed", run.run_dir.name, "cut", "empty"]
    assert rows["signed"]["verdict"] == "pass"
    assert rows["signed"]["date"] == pd.Timestamp("2026-01-05T12:00:00Z")
    assert rows["signed"]["signed"]
    assert rows["cut"]["problem"] == "its report is damaged"
    assert rows["empty"]["problem"] == "this lock has an unknown schema"
    newest = rows[run.run_dir.name]
    assert newest["verdict"] == run.report.verdict.value
    assert (newest["contrasts"], newest["signed"]) == (5, False)
    assert tais.open_run(newest["path"]).report.to_json() == run.report.to_json()


def test_a_list_of_no_runs_has_its_columns(tmp_path: Path) -> None:
    empty = tais.list_runs(tmp_path)
    assert empty.empty
    assert "verdict" in empty.columns
