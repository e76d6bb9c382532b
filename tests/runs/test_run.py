"""``tais run`` from manifest to report, on the fake engine."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tais.plan.probes import probe_items
from tests.conftest import FAKE, Screen, Tais, finish, start, without_times


def run(tais: Tais, screen: Screen, *arguments: object, code: int = 0) -> str:
    done = tais("run", screen.path, "--out", screen.out, *arguments)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_identical_arms_pass_and_the_leaky_control_is_caught(tais: Tais, screen: Screen) -> None:
    done = tais("run", screen.path, "--out", screen.out)
    assert done.returncode == 0, done.stderr
    report = screen.report()
    spec, again, leaky = report["contrasts"]
    assert report["schema"] == "tais/report/v1"
    assert report["verdict"] == spec["verdict"] == again["verdict"] == "pass"
    assert leaky["verdict"] == "fail"
    assert spec["identity"]["rate"] == 1.0
    assert 0 < leaky["identity"]["rate"] < 1
    verdict, run_dir = done.stdout.rstrip("\n").split("\t")
    assert (verdict, Path(run_dir)) == ("pass", screen.run_dirs()[0])


@pytest.mark.slow
def test_a_leak_in_the_candidate_fails_with_exit_code_1(tais: Tais, screen: Screen) -> None:
    screen.options("spec", leak=0.5)
    run(tais, screen, code=1)
    assert screen.report()["contrasts"][0]["verdict"] == "fail"


@pytest.mark.slow
def test_an_arm_that_drafts_nothing_is_inconclusive(tais: Tais, screen: Screen) -> None:
    screen.options("spec", drafts=False)
    run(tais, screen, code=3)
    contrast = screen.report()["contrasts"][0]
    assert contrast["verdict"] == "inconclusive"
    assert contrast["treatment"]["applied"] is False


@pytest.mark.slow
def test_an_option_that_the_engine_ignores_is_inconclusive(tais: Tais, screen: Screen) -> None:
    screen.options("spec", resolve={"num_speculative_tokens": 1})
    assert "asked for num_speculative_tokens=4 and runs 1" in run(tais, screen, code=3)


@pytest.mark.slow
def test_another_mode_than_asked_for_is_inconclusive(tais: Tais, screen: Screen) -> None:
    screen.options("spec", resolve={"method": "ngram"})
    run(tais, screen, code=3)
    assert screen.report()["contrasts"][0]["treatment"]["applied"] is False


@pytest.mark.slow
def test_a_control_that_is_not_caught_is_inconclusive(tais: Tais, screen: Screen) -> None:
    screen.options("leaky", leak=0.0)
    run(tais, screen, code=3)


@pytest.mark.slow
def test_other_prompts_in_one_arm_are_reported_as_drift(tais: Tais, screen: Screen) -> None:
    screen.options("spec", template="other")
    run(tais, screen, code=3)
    reasons = {reason["code"]: reason for reason in screen.report()["contrasts"][0]["reasons"]}
    assert reasons["prompt_drift"]["values"]["items"] == 120


@pytest.mark.slow
def test_first_divergence_names_position_and_both_tokens(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    first = screen.report()["contrasts"][2]["identity"]["first_divergences"][0]
    # "Sure" against "I'm sorry": the fake engine's tokens are bytes.
    assert first["position"] == 0
    assert {first["reference_token"], first["candidate_token"]} == {ord("S"), ord("I")}
    assert first["reference_margin"] == pytest.approx(2.4)


@pytest.mark.slow
def test_everything_asked_for_is_stored_once(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    for arm in ("target", "again", "spec", "leaky"):
        parts = sorted((screen.run_dirs()[0] / "arms" / arm).glob("part-*.parquet"))
        ids = [i for part in parts for i in pq.read_table(part).column("item_id").to_pylist()]
        assert sorted(ids) == [f"m-{i:03d}" for i in range(120)]


@pytest.mark.slow
def test_the_lock_is_older_than_every_part(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    run_dir = screen.run_dirs()[0]
    written = (run_dir / "manifest.lock.json").stat().st_mtime_ns
    for arm in (run_dir / "arms").iterdir():
        engine = (arm / "engine.json").stat().st_mtime_ns
        assert written <= engine <= min(part.stat().st_mtime_ns for part in arm.glob("part-*"))


@pytest.mark.slow
def test_limit_asks_the_first_items_only_and_stands_in_the_lock(tais: Tais, screen: Screen) -> None:
    run(tais, screen, "--limit", 30, code=3)
    report = screen.report()
    assert report["contrasts"][0]["endpoints"][0]["n"] == 30
    assert report["facts"]["limit"] == 30


@pytest.mark.slow
def test_repeats_are_clusters_not_items(tais: Tais, screen: Screen) -> None:
    screen.data["sampling"]["n"] = 3
    screen.write()
    run(tais, screen)
    endpoint = screen.report()["contrasts"][0]["endpoints"][0]
    assert endpoint["clusters"] == 120


@pytest.mark.slow
def test_report_recomputes_the_same_from_the_samples(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    run_dir = screen.run_dirs()[0]
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    done = tais("report", run_dir, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == screen.report()
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")} == before


@pytest.mark.slow
def test_report_of_a_failed_screen_still_exits_0(tais: Tais, screen: Screen) -> None:
    screen.options("spec", leak=0.5)
    run(tais, screen, code=1)
    done = tais("report", screen.run_dirs()[0])
    assert done.returncode == 0
    assert "FAIL" in done.stdout


@pytest.mark.slow
def test_ledger_shows_every_attempt(tais: Tais, screen: Screen) -> None:
    screen.options("spec", leak=0.5)
    run(tais, screen, code=1)
    run(tais, screen, code=1)
    attempts = screen.report()["facts"]["run"]["ledger"]["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["fail", "unfinished"]


@pytest.mark.slow
def test_imported_outputs_need_no_engine(tais: Tais, screen: Screen) -> None:
    for name, text in (("old", "I'm sorry, no."), ("new", "I'm sorry, no!")):
        answers = {f"m-{i:03d}": text for i in range(120)}
        # Harmless questions show that the scorer tells this stack's refusals from its answers.
        answers |= {item.item_id: "Certainly: here it is." for item in probe_items("answer")}
        lines = (json.dumps({"item_id": key, "text": said}) + "\n" for key, said in answers.items())
        (screen.folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        screen.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    screen.write()
    run(tais, screen)
    contrast = screen.report()["contrasts"][0]
    assert contrast["lossless"] is False
    assert contrast["identity"]["identical"] == 0
    assert contrast["identity"]["first_divergences"][0] == {
        "battery": "mine",
        "item_id": "m-000",
        "repeat": 0,
        "position": 13,
        "unit": "byte",
        "reference_token": None,
        "candidate_token": None,
        "reference_margin": None,
        "candidate_margin": None,
        "part": "text",
    }


@pytest.mark.slow
def test_missing_imported_outputs_are_counted(tais: Tais, screen: Screen) -> None:
    lines = (json.dumps({"item_id": f"m-{i:03d}", "text": "I can't."}) + "\n" for i in range(100))
    (screen.folder / "new.jsonl").write_text("".join(lines), encoding="utf-8")
    screen.data["arms"]["new"] = {"engine": "import", "path": "new.jsonl"}
    screen.data["contrasts"] = [{"reference": "target", "candidate": "new"}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out)
    endpoint = screen.report()["contrasts"][0]["endpoints"][0]
    assert endpoint["n"] == 100
    assert "20 rows only in the reference" in done.stderr


@pytest.mark.slow
def test_ctrl_c_stores_what_is_finished_and_resume_ends_the_run(tais: Tais, screen: Screen) -> None:
    screen.options("spec", delay=0.05)
    process = start(screen)
    wait_for(lambda: list(screen.out.glob("*/*/arms/spec/engine.json")))
    time.sleep(0.5)
    code, err = finish(process, signal.SIGINT)
    assert code == 130
    assert "Continue with --resume" in err
    kept = sum(pq.read_metadata(p).num_rows for p in screen.out.glob("*/*/arms/spec/part-*"))
    assert 0 < kept < 120
    resumed = run(tais, screen, "--resume")
    assert f"spec: loading, {kept} of 120 already stored" in resumed
    assert len(screen.run_dirs()) == 1


@pytest.mark.slow
def test_resume_refuses_another_manifest_and_says_in_what(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    (screen.run_dirs()[0] / "report.json").unlink()
    screen.data["rules"] = {"margin": 0.05}
    screen.write()
    assert "rules.margin was 0.03 and is 0.05" in run(tais, screen, "--resume", code=2)


@pytest.mark.slow
def test_resume_refuses_another_battery_and_names_its_digest(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    screen.items(121)
    error = run(tais, screen, "--resume", code=2)
    assert "batteries.0.items was 120 and is 121" in error


@pytest.mark.slow
def test_resume_of_a_finished_run_runs_nothing(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    before = screen.report()
    assert "is finished: nothing to run" in run(tais, screen, "--resume")
    assert screen.report() == before


def test_resume_without_a_run_says_so(tais: Tais, screen: Screen) -> None:
    assert "there is no run to resume" in run(tais, screen, "--resume", code=2)


@pytest.mark.slow
def test_quiet_prints_nothing_but_the_verdict(tais: Tais, screen: Screen) -> None:
    done = tais("run", screen.path, "--out", screen.out, "-q")
    assert done.stderr == ""
    assert done.stdout.startswith("pass\t")


@pytest.mark.slow
def test_undisturbed_runs_give_equal_reports(tais: Tais, screen: Screen) -> None:
    run(tais, screen)
    first = screen.report()
    run(tais, screen)
    assert without_times(first) == without_times(screen.report())


@pytest.mark.slow
def test_arms_that_no_contrast_uses_do_not_run(tais: Tais, screen: Screen) -> None:
    screen.data["arms"]["idle"] = {**FAKE, "engine_args": {"refuse_start": "must not run"}}
    screen.write()
    run(tais, screen)


def wait_for(condition: object, seconds: float = 30.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
