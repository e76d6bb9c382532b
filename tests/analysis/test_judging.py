"""Model judges in a run: one more job after the arms, on the fake engine."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tais.plan.probes import probe_items
from tests.conftest import FAKE, Screen, Tais, finish, start, without_times

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

N = 120
RUBRIC = {"name": "judge_rubric", "judge": "small"}


def run(tais: Tais, screen: Screen, *arguments: object, code: int = 0, **variables: str) -> str:
    done = tais("run", screen.path, "--out", screen.out, *arguments, **variables)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture
def judged(screen: Screen) -> Screen:
    """A screen whose battery a judge looks at beside the rules; its control leaks half of all refusals."""
    screen.data["judges"] = {"small": {**FAKE, "engine_args": {"judge": True}}}
    screen.data["batteries"][0]["second_scorers"] = [dict(RUBRIC)]
    screen.write()
    return screen


def judge_options(screen: Screen, **options: object) -> None:
    screen.data["judges"]["small"]["engine_args"].update(options)
    screen.write()


def details(screen: Screen) -> dict[str, Any]:
    found: dict[str, Any] = screen.report()["details"]
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return table


def test_a_judge_is_asked_once_about_each_distinct_answer(tais: Tais, judged: Screen) -> None:
    said = run(tais, judged)
    assert "small: generating" in said
    run_dir = judged.run_dirs()[0]
    questions = rows(run_dir / "judges" / "small" / "items.parquet")
    leaked = judged.report()["contrasts"][2]["items"]["flipped"]
    # Three arms say the same, the fourth says something else about the leaked items.
    assert len(questions) == N + leaked
    (judge,) = details(judged)["judges"]
    assert (judge["answers"], judge["asked"], judge["saved"]) == (4 * N, N + leaked, 3 * N - leaked)
    assert judge["unreadable"] == {"target": 0, "again": 0, "spec": 0, "leaky": 0}
    parts = [row for part in (run_dir / "judges" / "small").glob("part-*") for row in rows(part)]
    assert {row["item_id"] for row in parts} == {row["item_id"] for row in questions}
    assert {row["text"] for row in parts} == {"yes", "no"}
    assert "please do thing 7" in "".join(row["messages"] for row in questions)
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert lock["judges"]["small"]["engine"] == "fake"
    assert lock["batteries"][0]["second_scorers"][0]["judge"] == "small"


def test_agreement_and_confirmed_flips_stand_in_the_report(tais: Tais, judged: Screen) -> None:
    run(tais, judged)
    (found,) = details(judged)["second_opinions"]
    assert (found["first"], found["second"]) == ("refusal", "judge_rubric@small")
    # The fake judge reads what the fake arms write.
    assert (found["kappa"], found["observed"], found["disagreements"]) == (1.0, 1.0, 0)
    assert sum(sum(row.values()) for row in found["confusion"].values()) == found["n"]
    leaky = judged.report()["contrasts"][2]["endpoints"][0]
    (second,) = leaky["details"]["second_scorers"]
    assert (
        second["flips"]
        == second["confirmed"]
        == leaky["table"]["reference_only"] + leaky["table"]["candidate_only"]
    )
    assert (second["reference_rate"], second["candidate_rate"]) == (
        leaky["reference_rate"],
        leaky["candidate_rate"],
    )


def test_a_reply_that_cannot_be_read_is_invalid_and_counted_by_arm(tais: Tais, judged: Screen) -> None:
    judge_options(judged, mumbles=0.3)
    run(tais, judged)
    (judge,) = details(judged)["judges"]
    counts = judge["unreadable"]
    assert 0 < counts["target"] == counts["again"] == counts["spec"] < N
    table = rows(judged.run_dirs()[0] / "second_scores.parquet")
    unreadable = [row for row in table if row["label"] == "unreadable"]
    assert len(unreadable) == sum(counts.values())
    assert all(row["invalid"] and row["value"] == 0.0 for row in unreadable)
    (found,) = details(judged)["second_opinions"]
    assert found["disagreements"] == sum(row.get("invalid", 0) for row in found["confusion"].values())
    assert {item["second"] for item in found["disagreeing_items"]} == {"invalid"}


@pytest.mark.slow
def test_a_judge_can_decide_and_its_stated_errors_are_taken_out(tais: Tais, judged: Screen) -> None:
    rubric = {**RUBRIC, "sensitivity": [95, 100], "specificity": [90, 100]}
    judged.data["batteries"][0] |= {"scorer": rubric, "second_scorers": ["refusal"]}
    judged.write()
    run(tais, judged)
    leaky = judged.report()["contrasts"][2]["endpoints"][0]
    assert leaky["scorer"] == "judge_rubric"
    assert leaky["verdict"] == "fail"
    error = leaky["details"]["judge_error"]
    # Rogan and Gladen: (rate + specificity - 1) / (sensitivity + specificity - 1).
    assert error["candidate"]["estimate"] == pytest.approx((leaky["candidate_rate"] - 0.1) / 0.85)
    assert error["difference"]["estimate"] == pytest.approx(leaky["difference"] / 0.85)
    low, high = error["difference"]["ci"]
    assert low < leaky["tost"]["ci"][0] / 0.85
    assert low < error["difference"]["estimate"] < high < 0


@pytest.mark.slow
def test_questions_and_replies_are_signed_and_lead_to_the_report_again(tais: Tais, judged: Screen) -> None:
    assert tais("keygen", "--out", "keys").returncode == 0
    run(tais, judged, "--key", "keys/tais.key", TAIS_UNSIGNED="")
    run_dir = judged.run_dirs()[0]
    done = tais("report", run_dir, "--format", "json")
    assert json.loads(done.stdout) == judged.report()
    verify = ("verify", run_dir, "--key", "keys/tais.pub")
    done = tais(*verify, "--recompute")
    assert done.returncode == 0, done.stderr
    part = next((run_dir / "judges" / "small").glob("part-*"))
    table = pq.read_table(part)
    column = table.column_names.index("text")
    other = ["no" if text == "yes" else "yes" for text in table.column("text").to_pylist()]
    pq.write_table(table.set_column(column, table.schema.field(column), [other]), part)
    done = tais(*verify)
    assert done.returncode == 5
    assert "judges/small/part-00000.parquet" in done.stderr


@pytest.mark.slow
def test_a_question_without_a_stored_reply_is_an_error_that_says_so(tais: Tais, judged: Screen) -> None:
    run(tais, judged)
    run_dir = judged.run_dirs()[0]
    for part in (run_dir / "judges" / "small").glob("part-*"):
        part.unlink()
    done = tais("report", run_dir)
    assert done.returncode == 4
    assert "the judge 'small' has not replied about item" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_judge_that_dies_keeps_what_it_said(tais: Tais, judged: Screen) -> None:
    judge_options(judged, fail_at=50, failure="error")
    said = run(tais, judged, "--part-samples", 20, code=4)
    assert "arm 'small'" in said
    folder = judged.run_dirs()[0] / "judges" / "small"
    assert sum(pq.read_metadata(part).num_rows for part in folder.glob("part-*")) == 50
    assert "small: loading, 50 of" in run(tais, judged, "--resume", code=4)


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.nightly), signal.SIGKILL])
def test_a_run_that_is_killed_while_its_judge_speaks_continues_there(
    tais: Tais, judged: Screen, number: signal.Signals
) -> None:
    judge_options(judged, delay=0.02)
    process = start(judged, "--part-samples", 10)
    deadline = time.monotonic() + 60
    while len(list(judged.out.glob("*/*/judges/small/part-*"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    code, _ = finish(process, number)
    assert code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    (run_dir,) = judged.run_dirs()
    stored = sum(pq.read_metadata(part).num_rows for part in run_dir.glob("judges/small/part-*"))
    assert 20 <= stored < N
    assert "small: loading" in run(tais, judged, "--resume")
    assert judged.run_dirs() == [run_dir]
    (judge,) = details(judged)["judges"]
    parts = [row["item_id"] for part in run_dir.glob("judges/small/part-*") for row in rows(part)]
    assert len(parts) == len(set(parts)) == judge["asked"]


@pytest.mark.slow
def test_resume_asks_a_judge_only_what_it_has_not_answered(tais: Tais, judged: Screen) -> None:
    run(tais, judged, "--part-samples", 20)
    whole, run_dir = judged.report(), judged.run_dirs()[0]
    folder = run_dir / "judges" / "small"
    kept = {part: part.stat().st_mtime_ns for part in sorted(folder.glob("part-*"))[:3]}
    for part in sorted(folder.glob("part-*"))[3:]:
        part.unlink()
    # As a kill in the middle of the judge leaves it.
    for name in ("report.json", "report.html", "report.md", "junit.xml", "scores.parquet"):
        (run_dir / name).unlink()
    assert "small: loading, 60 of" in run(tais, judged, "--resume")
    assert {part: part.stat().st_mtime_ns for part in kept} == kept
    assert without_times(judged.report()) == without_times(whole)


@pytest.mark.slow
def test_a_comparison_takes_the_replies_of_both_runs_along(tais: Tais, judged: Screen) -> None:
    run(tais, judged)
    run(tais, judged)
    first, second = judged.run_dirs()
    arguments = ("--reference", "target", "--candidate", "leaky", "--out", judged.folder / "compared")
    done = tais("compare", first, second, *arguments)
    assert done.returncode == 1, done.stderr
    (run_dir,) = (path.parent for path in judged.folder.glob("compared/*/*/report.json"))
    report = json.loads((run_dir / "report.json").read_text())
    assert report["contrasts"][0]["endpoints"][0]["details"]["second_scorers"][0]["flips"] > 0
    again = tais("report", run_dir, "--format", "json")
    assert without_times(json.loads(again.stdout)) == without_times(report)
    # Without the replies to the reference's own answers nothing could be decided.
    shutil.rmtree(run_dir / "judges" / "small" / "reference")
    for part in (run_dir / "judges" / "small").glob("part-*"):
        part.unlink()
    assert tais("report", run_dir).returncode == 4


@pytest.mark.slow
def test_what_no_tokenizer_takes_is_asked_about_too(tais: Tais, judged: Screen) -> None:
    for name, text in (("old", "I'm sorry, no."), ("new", "I'm sorry \ud800.")):
        answers = {f"m-{i:03d}": text if i else "  " for i in range(N)}
        answers |= {probe.item_id: "Certainly: here it is." for probe in probe_items("answer")}
        lines = (json.dumps({"item_id": item, "text": text}) + "\n" for item, text in answers.items())
        (judged.folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        judged.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}
    judged.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    judged.write()
    run(tais, judged)
    (judge,) = details(judged)["judges"]
    # An empty answer asks nobody.
    assert (judge["answers"], judge["asked"]) == (2 * (N - 1), 2 * (N - 1))
    assert sum(judge["unreadable"].values()) == 0


def test_plan_says_what_judges_are_asked_at_most(tais: Tais, judged: Screen) -> None:
    done = tais("plan", judged.path)
    assert done.returncode == 0, done.stderr
    assert f"judge small: at most {4 * N} questions (judge_rubric)" in done.stdout
    assert "refusal, judge_rubric@small" in done.stdout


@pytest.mark.slow
def test_bias_scores_of_every_arm_are_summaries_beside_the_endpoints(tais: Tais, screen: Screen) -> None:
    info = {"ans0": ["a", "old"], "ans1": ["b", "nonOld"], "ans2": ["unknown", "unknown"]}
    expect = {"condition": "ambig", "polarity": "neg", "info": info, "groups": ["old"], "letter": "C"}
    expect["options"] = {"A": "the old one", "B": "the young one", "C": "nobody knows"}
    rows = ({"id": f"m-{i:03d}", "prompt": f"who? {i}", "expect": expect} for i in range(N))
    (screen.folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (screen.folder / "mine.yaml").write_text(
        "name: mine\nsource: {path: mine.jsonl}\ncolumns: {id: id, prompt: prompt, expect: expect}\n"
        "scorer: bbq\nlicense: none\n"
    )
    for name, letters in (("old", "AB"), ("new", "AAAC")):
        lines = (
            json.dumps({"item_id": f"m-{i:03d}", "text": letters[i % len(letters)]}) + "\n" for i in range(N)
        )
        (screen.folder / f"{name}.jsonl").write_text("".join(lines))
        screen.data["arms"][name] = {"engine": "import", "path": f"{name}.jsonl"}
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    screen.write()
    done = tais("run", screen.path, "--out", screen.out, "-v")
    scores = {entry["arm"]: entry for entry in screen.report()["details"]["bias"]}
    # 2 b / (b + c) - 1 over those that name a group, times the share that does (Parrish et al. 2022).
    assert scores["old"]["ambiguous"] == 0.0
    assert scores["new"]["ambiguous"] == pytest.approx(0.75)
    assert scores["new"]["disambiguated"] is None
    assert "Bias scores of BBQ" in done.stderr
    assert [e["scorer"] for e in screen.report()["contrasts"][0]["endpoints"]] == ["bbq"]


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ({"name": "judge_rubric"}, "names no judge"),
        ({"name": "judge_rubric", "judge": "smal"}, "Did you mean 'small'"),
        ({"name": "judge_harmbench", "judge": "small"}, "needs `template`"),
        ("refusal", "is given twice"),
        ({"name": "choice"}, "expect must be"),
    ],
)
def test_scorers_that_do_not_fit_are_refused_before_an_engine_starts(
    tais: Tais, judged: Screen, scorer: Any, said: str
) -> None:
    judged.data["batteries"][0]["second_scorers"] = [scorer]
    judged.write()
    assert said in run(tais, judged, code=2)
    assert not judged.run_dirs()


def test_a_judge_that_decides_reads_exchanged_answers(tais: Tais, judged: Screen) -> None:
    """12 harmless probes answered by the reference stand under items to refuse: 12 more questions."""
    battery = judged.data["batteries"][0]
    del battery["second_scorers"]
    battery["scorer"] = dict(RUBRIC)
    del judged.data["arms"]["leaky"]
    judged.data["contrasts"] = judged.data["contrasts"][:2]
    judged.write()
    run(tais, judged)
    found = judged.report()["contrasts"][0]["endpoints"][0]["sensitivity"]
    assert (found["shown_by"], found["exchanged"]) == (["exchange"], 12)
    questions = rows(judged.run_dirs()[0] / "judges" / "small" / "items.parquet")
    assert len(questions) == N + 12


def test_exchanged_answers_that_the_judge_was_not_asked_about_show_nothing(
    tais: Tais, judged: Screen
) -> None:
    battery = judged.data["batteries"][0]
    del battery["second_scorers"]
    battery["scorer"] = dict(RUBRIC)
    judged.data["contrasts"] = judged.data["contrasts"][:2]
    judged.write()
    run(tais, judged)
    run_dir = judged.run_dirs()[0]
    probes = run_dir / "probes" / "target"
    part = next(probes.glob("part-*"))
    table = pq.read_table(part)
    said = ["Another answer that no judge has read."] * len(table)
    index = table.schema.get_field_index("text")
    pq.write_table(table.set_column(index, table.schema.field(index), [said]), part)
    done = tais("report", run_dir, "--format", "json")
    (why,) = (r for r in json.loads(done.stdout)["reasons"] if r["code"] == "endpoint_not_shown_sensitive")
    assert "the judge was not asked" in why["message"]
