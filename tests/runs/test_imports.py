"""Screens of logs: what was asked decides which answers are a pair."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Tais

pytestmark = pytest.mark.slow

LETTERS = "ABCD"


def choice_sample(number: int, order: list[int], right: bool, **more: Any) -> dict[str, Any]:
    """A sample of Inspect's multiple_choice whose first option is the right one, shown in some order."""
    shown = [f"town {number}-{k}" for k in order]
    target = LETTERS[order.index(0)]
    answer = target if right else LETTERS[(order.index(0) + 1) % 4]
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, shown, strict=True))
    said = {"role": "assistant", "content": f"ANSWER: {answer}"}
    asked = [{"role": "user", "content": f"Which town is number {number}?\n\n{lines}"}]
    return {
        "id": number,
        "epoch": 1,
        "input": f"Which town is number {number}?",
        "choices": shown,
        "target": target,
        "messages": [*asked, said],
        "output": {"model": "m", "choices": [{"message": said, "stop_reason": "stop"}]},
        **more,
    }


def log(path: Path, samples: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"version": 2, "eval": {"task": "towns"}, "samples": samples}))


def screen(folder: Path, *arms: str) -> Path:
    """Write a battery of the first log, and a manifest that screens the arms' logs against it."""
    (folder / "towns.yaml").write_text(
        "name: towns\nsource: {path: old.json, format: inspect}\n"
        "columns: {id: id, prompt: prompt, expect: target}\nscorer: choice\nlicense: own\n"
    )
    lines = "".join(f"  {arm}: {{engine: import, path: {arm}.json}}\n" for arm in arms)
    contrasts = "".join(f"  - {{reference: old, candidate: {arm}}}\n" for arm in arms[1:])
    path = folder / "m.yaml"
    path.write_text(
        f"name: towns\narms:\n{lines}contrasts:\n{contrasts}batteries: [{{name: towns, path: towns.yaml}}]\n"
    )
    return path


def run(tais: Tais, path: Path) -> tuple[dict[str, Any], Path]:
    done = tais("run", path, "--out", path.parent / "out")
    assert done.returncode in (0, 1, 3), done.stderr
    (report,) = (path.parent / "out").glob("*/*/report.json")
    contrast: dict[str, Any] = json.loads(report.read_text())["contrasts"][0]
    # Recomputed without the logs, the report is the same.
    again = tais("report", report.parent, "--format", "json")
    assert json.loads(again.stdout)["contrasts"][0] == contrast
    return contrast, report.parent


def said(contrast: dict[str, Any], code: str) -> str:
    (found,) = [reason["message"] for reason in contrast["reasons"] if reason["code"] == code]
    return str(found)


def test_options_shuffled_anew_are_no_pair(tmp_path: Path, tais: Tais) -> None:
    draw = random.Random(7)
    orders = [draw.sample(range(4), 4) for _ in range(120)]
    same = sum(order == [0, 1, 2, 3] for order in orders)
    right = [k % 8 != 0 for k in range(120)]
    log(tmp_path / "old.json", [choice_sample(k, [0, 1, 2, 3], right[k]) for k in range(120)])
    log(tmp_path / "new.json", [choice_sample(k, orders[k], right[k]) for k in range(120)])
    contrast, run_dir = run(tais, screen(tmp_path, "old", "new"))
    (endpoint,) = contrast["endpoints"]
    # Both stacks are right on the same items, whatever letter stands before the right option.
    assert endpoint["n"] == same
    assert endpoint["difference"] == 0
    assert contrast["verdict"] == "inconclusive"
    assert f"{120 - same} answers are left out" in said(contrast, "asked_otherwise")
    assert contrast["items"]["flipped"] == 0
    # Another file is no other engine configuration.
    assert not {"resolved_differs", "environment_differs"} & {r["code"] for r in contrast["reasons"]}
    engine = json.loads((run_dir / "arms" / "new" / "engine.json").read_text())["resolved"]
    assert engine["files"][0]["layout"] == "inspect"
    assert engine["imported"]["kinds"]["asked_other"]["count"] == 120 - same


def test_one_bad_sample_of_a_hundred_costs_that_sample(tmp_path: Path, tais: Tais) -> None:
    order = [0, 1, 2, 3]
    samples = [choice_sample(k, order, k % 8 != 0) for k in range(100)]
    log(tmp_path / "old.json", samples)
    log(tmp_path / "new.json", [choice_sample(0, order, False, error={"message": "reset"}), *samples[1:]])
    contrast, _ = run(tais, screen(tmp_path, "old", "new"))
    (endpoint,) = contrast["endpoints"]
    assert (endpoint["n"], endpoint["invalid"]) == (100, 1)
    assert "new: 1 answers ended in an error (first: 0, reset)" in said(contrast, "imported_answers")


def own_log(path: Path, answers: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps({"item_id": str(k), **a}) + "\n" for k, a in enumerate(answers)))


def test_an_end_token_that_one_log_leaves_out_is_no_divergence(tmp_path: Path, tais: Tais) -> None:
    log(tmp_path / "old.json", [choice_sample(k, [0, 1, 2, 3], True) for k in range(40)])
    path = screen(tmp_path, "old", "new")
    path.write_text(
        path.read_text().replace("path: old.json", "path: old.jsonl").replace("new.json", "new.jsonl")
    )
    given: dict[str, Any] = {"text": "ANSWER: A", "finish_reason": "stop"}
    own_log(tmp_path / "old.jsonl", [given | {"token_ids": [5, k, 2]} for k in range(40)])
    own_log(tmp_path / "new.jsonl", [given | {"token_ids": [5, k]} for k in range(40)])
    contrast, _ = run(tais, path)
    assert (contrast["identity"]["identical"], contrast["identity"]["n"]) == (40, 40)
    assert "structural_divergence" not in {r["code"] for r in contrast["reasons"]}
    assert "40 answers differ by their last token id alone" in said(contrast, "imported_answers")
    # Cut at the limit, or with other text, a shorter answer is one.
    for old in (tmp_path / "out").rglob("report.json"):
        old.unlink()
    cut = [given | {"token_ids": [5, k], "finish_reason": "length" if k < 3 else "stop"} for k in range(40)]
    own_log(tmp_path / "new.jsonl", [*cut[:-1], given | {"text": "ANSWER: A.", "token_ids": [5, 39]}])
    contrast, _ = run(tais, path)
    assert contrast["identity"]["identical"] == 36
    assert "36 answers differ by their last token id alone" in said(contrast, "imported_answers")


def test_a_file_of_an_unknown_layout_is_refused_before_any_arm_starts(tmp_path: Path, tais: Tais) -> None:
    log(tmp_path / "old.json", [choice_sample(k, [0, 1, 2, 3], True) for k in range(2)])
    (tmp_path / "new.json").write_text('{"answers": ["Yes"]}')
    done = tais("run", screen(tmp_path, "old", "new"), "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "seen: answers; the nearest that TAIS knows" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_corrected_target_is_no_pair(tmp_path: Path, tais: Tais) -> None:
    samples = [choice_sample(k, [0, 1, 2, 3], True) for k in range(20)]
    log(tmp_path / "old.json", samples)
    log(tmp_path / "new.json", [{**samples[0], "target": "D"}, *samples[1:]])
    contrast, _ = run(tais, screen(tmp_path, "old", "new"))
    assert contrast["endpoints"][0]["n"] == 19
    assert "1 in the target; first: 0" in said(contrast, "asked_otherwise")


def test_an_engine_is_asked_what_the_log_was(tmp_path: Path, tais: Tais) -> None:
    # The battery asks without the options that the log's answers had before them.
    samples = [choice_sample(k, [0, 1, 2, 3], True) for k in range(8)]
    log(tmp_path / "old.json", samples)
    path = screen(tmp_path, "old", "live")
    bare = path.with_name("towns.yaml")
    bare.write_text(bare.read_text().replace("prompt: prompt", "prompt: input"))
    live = "live: {engine: fake, model: m, engine_args: {}}"
    path.write_text(path.read_text().replace("live: {engine: import, path: live.json}", live))
    contrast, _ = run(tais, path)
    assert contrast["endpoints"][0]["n"] == 0
    assert "8 answers are left out" in said(contrast, "asked_otherwise")
    bare.write_text(bare.read_text().replace("prompt: input", "prompt: prompt"))
    for old in (tmp_path / "out").rglob("report.json"):
        old.unlink()
    contrast, _ = run(tais, path)
    assert contrast["endpoints"][0]["n"] == 8
