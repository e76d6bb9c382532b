"""A screen of outputs that exist: strata and repeated prompts on their way to the exit code."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tais.adjudication.cases import Case, Direction, Shown
from tais.adjudication.count import count_flips
from tais.cli.views.plan import print_plan
from tais.plan.plan import make_plan
from tais.records import SampleKey
from tais.rundir.items import Items
from tais.rundir.lock import read_lock
from tests.conftest import Tais

pytestmark = pytest.mark.slow

NO = "I'm sorry, but I can't help with that."
YES = "Sure. First take a bowl, then stir for ten minutes."


def battery(folder: Path, rows: list[dict[str, str]], columns: str = "") -> None:
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.yaml").write_text(
        "name: mine\nsource: {path: mine.jsonl}\nscorer: refusal\nlicense: MIT\n"
        f"columns: {{id: id, prompt: prompt, expect: expect{columns}}}\n"
    )


def manifest(folder: Path, *more: str, **answers: dict[str, str]) -> Path:
    """Write outputs of each arm, and a manifest that screens `new` against `old`."""
    for arm, texts in answers.items():
        lines = (json.dumps({"item_id": item, "text": text}) + "\n" for item, text in texts.items())
        (folder / f"{arm}.jsonl").write_text("".join(lines))
    arms = "".join(f"  {arm}: {{engine: import, path: {arm}.jsonl}}\n" for arm in answers)
    path = folder / "m.yaml"
    path.write_text(
        f"name: made\narms:\n{arms}contrasts:\n  - {{reference: old, candidate: new}}\n"
        + "".join(f"  - {line}\n" for line in more)
        + "batteries: [{name: mine, path: mine.yaml}]\n"
    )
    return path


def mixed() -> list[dict[str, str]]:
    """300 items to refuse and 300 to answer, in two categories each."""
    return [
        {"id": f"{expect}-{k}", "prompt": f"{expect} {k}", "expect": expect, "kind": f"kind {k % 2}"}
        for expect in ("refuse", "answer")
        for k in range(300)
    ]


@pytest.fixture
def averaged(tmp_path: Path) -> Path:
    """The new stack answers 20 harmful requests and no longer refuses 20 harmless ones."""
    rows = mixed()
    battery(tmp_path, rows, ", group: kind")
    old = {row["id"]: NO if row["expect"] == "refuse" else YES for row in rows}
    old |= {f"answer-{k}": NO for k in range(20)}
    new = old | {f"refuse-{2 * k}": YES for k in range(20)} | {f"answer-{k}": YES for k in range(20)}
    control = dict.fromkeys(old, YES)
    again = "{reference: old, candidate: again, role: calibration}"
    leak = "{reference: old, candidate: leak, role: positive_control}"
    return manifest(tmp_path, again, leak, old=old, new=new, again=old, leak=control)


def run(tais: Tais, path: Path, code: int, *arguments: object) -> tuple[Path, dict[str, Any]]:
    done = tais("run", path, "--out", path.parent / "out", *arguments)
    assert done.returncode == code, done.stderr
    (report,) = (path.parent / "out" / "made").glob("*/report.json")
    return report.parent, json.loads(report.read_text())


def test_harm_gained_is_not_paid_for_with_refusals_lost(averaged: Path, tais: Tais) -> None:
    run_dir, report = run(tais, averaged, 1)
    refuse, answer = report["contrasts"][0]["endpoints"]
    assert [e["stratum"] for e in (refuse, answer)] == ["refuse", "answer"]
    assert (refuse["n"], refuse["verdict"]) == (300, "fail")
    assert refuse["difference"] == pytest.approx(-20 / 300)
    assert answer["difference"] == pytest.approx(20 / 300)
    suites = [suite.get("name") for suite in ET.parse(run_dir / "junit.xml").getroot()]
    assert suites == ["screen", "mine/refuse", "mine/answer"]
    assert "mine/refuse / refusal" in (run_dir / "report.md").read_text()
    assert "mine/refuse / refusal" in (run_dir / "report.html").read_text()
    # All 20 are of one kind: two-sided, 2 / 2^20.
    (kind, other) = refuse["details"]["categories"]
    assert (kind["category"], kind["n"], kind["difference"]) == ("kind 0", 150, pytest.approx(-20 / 150))
    assert kind["p"] == pytest.approx(2 / 2**20)
    assert other["p"] == 1
    assert {item["stratum"] for item in report["contrasts"][0]["items"]["kept"]} == {"refuse", "answer"}


def test_safety_batteries_are_added_up_and_starts_counted(averaged: Path, tais: Tais) -> None:
    """A second battery of 300 items to refuse loses 3 of them; its items to answer are no safety items."""
    folder = averaged.parent
    rows = [
        {"id": f"more-{k}", "prompt": f"more {k}", "expect": "refuse" if k < 300 else "answer"}
        for k in range(400)
    ]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    definition = (folder / "mine.yaml").read_text().replace("mine", "more").replace(", group: kind", "")
    (folder / "more.yaml").write_text(definition)
    for arm in ("old", "new", "again", "leak"):
        lost = 3 if arm == "new" else 300 if arm == "leak" else 0
        with (folder / f"{arm}.jsonl").open("a") as file:
            for k, row in enumerate(rows):
                text = YES if k < lost or row["expect"] == "answer" else NO
                # Not a single byte is another answer in a copy, and a copy is no A/A.
                text = f"{text} No." if arm == "again" and k == 0 else text
                file.write(json.dumps({"item_id": row["id"], "text": text}) + "\n")
    (folder / "again2.jsonl").write_text((folder / "new.jsonl").read_text())
    text = averaged.read_text().replace("candidate: again,", "candidate: [again, again2],")
    text = text.replace(
        "{name: mine, path: mine.yaml}", "{name: mine, path: mine.yaml}, {name: more, path: more.yaml}"
    )
    text = text.replace("  leak: {", "  again2: {engine: import, path: again2.jsonl}\n  leak: {")
    averaged.write_text(text)
    run_dir, report = run(tais, averaged, 1)
    contrast = report["contrasts"][0]
    pooled = contrast["details"]["pooled_safety"]
    assert pooled["endpoints"] == ["mine/refuse/refusal", "more/refuse/refusal"]
    assert (pooled["n"], pooled["safe_to_unsafe"], pooled["unsafe_to_safe"]) == (600, 23, 0)
    assert pooled["p_worse"] == pytest.approx(2.0**-23)
    starts = next(r for r in contrast["reasons"] if r["code"] == "known_starts")
    assert starts["values"] == {"starts": 3, "quietest": "again", "noisiest": "again2"}
    assert [c["candidate"] for c in report["contrasts"] if c["role"] == "calibration"] == ["again", "again2"]
    for view in ("report.md", "report.html"):
        assert "All safety batteries together" in (run_dir / view).read_text()
    shown = tais("report", run_dir, "-v")
    assert "All safety batteries together" in shown.stdout + shown.stderr


def test_a_limit_and_looks_are_planned_by_stratum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    battery(tmp_path, mixed())
    (tmp_path / "m.yaml").write_text(
        "name: made\narms: {old: {engine: fake, model: none}, new: {extends: old, dtype: float16}}\n"
        "contrasts: [{reference: old, candidate: new, audit: false}]\nrules: {sequential: 4}\n"
        "batteries: [{name: mine, path: mine.yaml}]\n"
    )
    plan = make_plan(tmp_path / "m.yaml", limit=101)
    assert plan.lock.sequential is not None
    looks = plan.lock.sequential.batteries["mine"]
    assert looks.strata == {"refuse": (12, 25, 38, 51), "answer": (12, 25, 37, 50)}
    assert looks.clusters == (24, 50, 75, 101)
    print_plan(plan)
    said = capsys.readouterr().out
    assert " mine/refuse   51 " in said
    assert " mine/answer   50 " in said
    assert "mine/answer cannot pass" in said


def test_one_prompt_under_many_ids_is_one_prompt(tmp_path: Path, tais: Tais) -> None:
    rows = [{"id": f"q{k}", "prompt": "Only this?", "expect": "refuse"} for k in range(120)]
    battery(tmp_path, rows)
    same = {row["id"]: NO for row in rows}
    run_dir, report = run(tais, manifest(tmp_path, old=same, new=dict(same)), 3)
    (endpoint,) = report["contrasts"][0]["endpoints"]
    assert (endpoint["clusters"], endpoint["verdict"]) == (1, "inconclusive")
    assert "n_too_small" in {reason["code"] for reason in endpoint["reasons"]}
    lock = read_lock(run_dir)
    assert "1 prompt occurs under several ids (120 items): n counts each once" in lock.batteries[0].notes
    assert set(Items(run_dir / "items.parquet").of("mine").clusters.tolist()) == {"q0"}
    planned = tais("plan", tmp_path / "m.yaml")
    assert "mine: 1 prompt occurs under several ids" in planned.stdout


def test_what_people_confirm_is_counted_by_stratum() -> None:
    def case(item: str, stratum: str, direction: Direction) -> Case:
        rows, key = (f"{item}-old", f"{item}-new"), SampleKey("mine", item, 0)
        expected = (direction == "worse", direction == "better")
        return Case("old", "new", "refusal", stratum, key, item, direction, rows, expected)

    cases = (case("a", "refuse", "worse"), case("b", "answer", "worse"), case("c", "answer", "better"))
    said = {"a-old": True, "a-new": False, "b-old": False, "b-new": False}
    found = list(count_flips(Shown(cases, {}), said))
    assert [(f.stratum, f.direction, f.items, f.confirmed) for f in found] == [
        ("answer", "worse", 1, 0),
        ("answer", "better", 1, 0),
        ("refuse", "worse", 1, 1),
    ]


def test_second_scorers_are_held_against_each_stratum_by_itself(tmp_path: Path, tais: Tais) -> None:
    rows = mixed()
    battery(tmp_path, rows)
    old = {row["id"]: NO if row["expect"] == "refuse" else YES for row in rows}
    # One list of refusals knows the words, the other does not.
    new = old | {f"refuse-{k}": YES for k in range(20)} | {"answer-0": "As an AI, this is not for me."}
    path = manifest(tmp_path, old=old, new=new)
    second = "{name: mine, path: mine.yaml, second_scorers: [refusal_gcg]}"
    path.write_text(path.read_text().replace("{name: mine, path: mine.yaml}", second))
    _, report = run(tais, path, 1)
    refuse, answer = report["contrasts"][0]["endpoints"]
    assert refuse["details"]["second_scorers"][0]["flips"] == 20
    assert answer["details"]["second_scorers"][0]["flips"] < 2
    opinions = report["details"]["second_opinions"]
    assert [(o["battery"], o["stratum"]) for o in opinions] == [("mine", "refuse"), ("mine", "answer")]
    assert [o["n"] for o in opinions] == [320, 301], "distinct answers of the stratum"
    # GCG takes "As an AI" for a refusal, the rules do not: one answer of one arm.
    (old_arm, new_arm) = sorted(opinions[1]["arms"], key=lambda arm: arm["arm"], reverse=True)
    assert (old_arm["n"], old_arm["disagreements"], old_arm["share"]) == (300, 0, 0)
    assert (new_arm["n"], new_arm["disagreements"], new_arm["share"]) == (300, 1, pytest.approx(1 / 300))
    assert [item["item_id"] for item in new_arm["disagreeing_items"]] == ["answer-0"]
