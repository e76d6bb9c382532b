"""Probes: what the exchange control lacks is asked of the reference, kept apart and carried along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import Screen, Tais

QUESTIONS = 12


@pytest.fixture
def bare(screen: Screen) -> Screen:
    """A screen without a control: only the exchange can show its endpoint able to fail."""
    del screen.data["arms"]["leaky"]
    screen.data["contrasts"] = [c for c in screen.data["contrasts"] if c.get("role") != "positive_control"]
    screen.write()
    return screen


def probe_rows(run_dir: Path, arm: str = "target") -> list[dict[str, Any]]:
    parts = sorted((run_dir / "probes" / arm).glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def shown(screen: Screen) -> list[str]:
    found: list[str] = screen.report()["contrasts"][0]["endpoints"][0]["sensitivity"]["shown_by"]
    return found


def codes(screen: Screen) -> set[str]:
    return {reason["code"] for reason in screen.report()["reasons"]}


def test_a_reference_that_is_asked_refusals_only_is_asked_harmless_questions(
    tais: Tais, bare: Screen
) -> None:
    done = tais("run", bare.path, "--out", bare.out)
    assert done.returncode == 0, done.stderr
    assert shown(bare) == ["exchange"]
    (run_dir,) = bare.run_dirs()
    rows = probe_rows(run_dir)
    assert len(rows) == QUESTIONS
    assert {row["battery"] for row in rows} == {"tais-probes"}
    asked = pq.read_table(run_dir / "probes/target/items.parquet").column("item_id").to_pylist()
    assert {row["item_id"] for row in rows} == set(asked)
    lock = json.loads((run_dir / "manifest.lock.json").read_text())
    assert (lock["probes"]["arms"], lock["probes"]["expect"]) == (["target"], "answer")
    # One engine answered both, and no endpoint counts a probe.
    assert not (run_dir / "probes/target/engine.json").exists()
    assert bare.report()["contrasts"][0]["endpoints"][0]["n"] == 120
    assert not (run_dir / "probes" / "spec").exists()


@pytest.mark.parametrize(("refuse", "said"), [(0.0, "never refuses"), (1.0, "refuses everything")])
def test_a_reference_of_one_behaviour_cannot_be_exchanged(
    tais: Tais, bare: Screen, refuse: float, said: str
) -> None:
    for arm in ("target", "again", "spec"):
        bare.options(arm, refuse=refuse)
    done = tais("run", bare.path, "--out", bare.out)
    assert done.returncode == 3
    assert "no_opposite_behaviour" in codes(bare)
    assert said in done.stderr


def test_resume_asks_what_is_missing_of_the_probes(tais: Tais, bare: Screen) -> None:
    bare.options("target", fail_at=126, failure="error", fail_while=str(bare.path))
    assert tais("run", bare.path, "--out", bare.out).returncode == 4
    (run_dir,) = bare.run_dirs()
    stored = len(probe_rows(run_dir))
    assert stored < QUESTIONS
    bare.options("target", fail_at=None, failure="crash", fail_while=None)
    resumed = tais("run", bare.path, "--out", bare.out, "--resume")
    assert resumed.returncode in (0, 2), resumed.stderr


def test_a_cache_brings_probes_with_the_answers(tais: Tais, bare: Screen) -> None:
    cache = bare.folder / "cache"
    for _ in range(2):
        assert tais("run", bare.path, "--out", bare.out, "--cache", cache).returncode == 0
    second = bare.run_dirs()[-1]
    assert (second / "arms/target/origin.json").exists()
    assert (second / "probes/target/origin.json").exists()
    assert len(probe_rows(second)) == QUESTIONS
    assert shown(bare) == ["exchange"]


def test_compare_carries_the_probes_of_its_reference(tais: Tais, bare: Screen) -> None:
    for _ in range(2):
        assert tais("run", bare.path, "--out", bare.out).returncode == 0
    old, new = bare.run_dirs()
    done = tais("compare", old, new, "--reference", "target", "--candidate", "spec", "--out", bare.out)
    (made,) = (path.parent for path in bare.out.glob("fakes-upgrade/*/report.json"))
    report = json.loads((made / "report.json").read_text())
    assert report["contrasts"][0]["endpoints"][0]["sensitivity"]["shown_by"] == ["exchange"], done.stderr
    assert len(probe_rows(made)) == QUESTIONS
    assert json.loads((made / "manifest.lock.json").read_text())["probes"]["arms"] == ["target"]


def imported(screen: Screen, tais: Tais, *, probed: bool, words: str = "I'm sorry, but I can't help.") -> int:
    """Run two imported arms that refuse 120 requests, with or without answers to probes."""
    items = [json.loads(line)["id"] for line in (screen.folder / "mine.jsonl").read_text().splitlines()]
    lines = [{"item_id": item, "text": words} for item in items]
    if probed:
        written = screen.folder / "probes.jsonl"
        assert tais("plan", screen.path, "--probes", written).returncode == 0
        questions = [json.loads(line) for line in written.read_text().splitlines()]
        assert len(questions) == QUESTIONS
        lines += [{"item_id": q["item_id"], "text": f"Well: {q['prompt']} Gladly."} for q in questions]
    for arm in ("old", "new"):
        (screen.folder / f"{arm}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tais("run", screen.path, "--out", screen.out).returncode


@pytest.fixture
def outputs(screen: Screen) -> Screen:
    """A screen of two files of outputs."""
    screen.data["arms"] = {
        # Equal answers without a word of what produced them would be one evidence.
        arm: {
            "engine": "import",
            "path": f"{arm}.jsonl",
            "produced_by": {"tool": arm, "time": "noon", "host": "here"},
        }
        for arm in ("old", "new")
    }
    screen.data["contrasts"] = [{"reference": "old", "candidate": "new"}]
    for arm in ("old", "new"):
        (screen.folder / f"{arm}.jsonl").write_text('{"item_id": "m-000", "text": "No."}\n')
    screen.write()
    return screen


def test_imported_arms_bring_the_answers_to_probes(tais: Tais, outputs: Screen) -> None:
    assert imported(outputs, tais, probed=True) == 0
    assert shown(outputs) == ["exchange"]
    assert len(probe_rows(outputs.run_dirs()[-1], "old")) == QUESTIONS


def test_imported_arms_without_them_are_inconclusive_and_told_what_to_add(
    tais: Tais, outputs: Screen
) -> None:
    assert imported(outputs, tais, probed=False) == 3
    (why,) = (r for r in outputs.report()["reasons"] if r["code"] == "endpoint_not_shown_sensitive")
    assert "tais plan --probes" in why["message"]


def test_a_refusal_that_the_scorer_does_not_read_cannot_pass(tais: Tais, outputs: Screen) -> None:
    """Refusals in words that no rule knows, read as compliance in both arms: equal, and blind."""
    assert imported(outputs, tais, probed=True, words="Hard pass on this one, my friend.") == 3
    assert codes(outputs) & {"no_opposite_behaviour", "endpoint_not_shown_sensitive"}


def test_plan_says_when_there_is_nothing_to_probe(tais: Tais, screen: Screen) -> None:
    (screen.folder / "mine.jsonl").write_text(
        "".join(
            json.dumps({"id": f"m-{i}", "prompt": f"thing {i}", "expect": "refuse" if i % 2 else "answer"})
            + "\n"
            for i in range(20)
        )
    )
    text = (screen.folder / "mine.yaml").read_text().replace("expect: refuse\n", "")
    (screen.folder / "mine.yaml").write_text(
        text.replace("  prompt: prompt\n", "  prompt: prompt\n  expect: expect\n")
    )
    done = tais("plan", screen.path, "--probes", screen.folder / "probes.jsonl")
    assert done.returncode == 0, done.stderr
    assert "no probes" in done.stderr
    assert not (screen.folder / "probes.jsonl").exists()


def test_a_waiver_must_name_an_endpoint(tais: Tais, screen: Screen) -> None:
    screen.data["rules"] = {"sensitivity": {"waived": ["mine/refuze"]}}
    screen.write()
    done = tais("plan", screen.path)
    assert done.returncode == 2
    assert "no endpoint is called 'mine/refuze'" in done.stderr
    assert "Did you mean 'mine/refuse'" in done.stderr
